//! The simulation of `docs/scaling.md`: the same seed plays the same, and the page shows what is played.

#[path = "../../benches/scaling/figures.rs"]
mod figures;
#[path = "../../benches/scaling/model/mod.rs"]
mod model;
#[path = "../../benches/scaling/scenarios.rs"]
mod scenarios;

#[test]
fn the_page_on_scaling_shows_what_the_simulation_plays() {
    let (first, again) = (scenarios::small().text(), scenarios::small().text());
    assert_eq!(first, again, "the same seed");
    let page = std::fs::read_to_string("docs/scaling.md").unwrap();
    for table in [first, figures::table()] {
        assert!(page.contains(&table), "docs/scaling.md lacks this; play all of it anew (`make scaling`):\n{table}");
    }
}
