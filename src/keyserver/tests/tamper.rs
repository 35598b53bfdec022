//! Rows altered behind the engine's back.

use super::*;

/// Runs one read and one write as the application would, on a ring of its own.
async fn use_keys(home: &Home, secret: &Secret) -> Result<(), KeysError> {
    let ring = home.ring(secret).await?;
    let envelope = encrypt(&ring, "text").await?;
    decrypt(&ring, &envelope).await?;
    ring.fetch_term_keys(ring.default_keyset()?, TYPE).await.map(drop)
}

#[tokio::test]
async fn altered_rows_are_refused() {
    let web = "WHERE client = (SELECT id FROM clients WHERE name = 'web')";
    let cases = [
        ("shares", "wrapped", web),
        ("shares", "sealed", web),
        ("grants", "body", web),
        ("grants", "signature", web),
        ("certificates", "body", ""),
        ("certificates", "signature", ""),
        ("keysets", "body", ""),
        ("keysets", "signature", ""),
        ("clients", "body", "WHERE name = 'web'"),
        ("clients", "signature", "WHERE name = 'web'"),
        ("types", "body", ""),
        ("types", "signature", ""),
        ("workspace", "service_body", ""),
        ("workspace", "service_signature", ""),
        ("admin_sets", "body", ""),
        ("admin_sets", "signature", ""),
    ];
    for (table, column, of) in cases {
        let home = Home::new();
        let secret = home.application();
        home.open().sign_type("a definition", TYPE).expect("sign");
        use_keys(&home, &secret).await.expect("untouched");
        home.sql(&Home::flip(table, column, of));
        let found = use_keys(&home, &secret).await;
        assert!(matches!(found, Err(KeysError::Tampered { .. })), "{table}.{column}: {found:?}");
    }
}

#[tokio::test]
async fn an_altered_root_is_another_workspace() {
    let home = Home::new();
    let secret = home.application();
    home.sql("UPDATE admin_sets SET root = (SELECT substr(body, 9, 32) FROM admin_sets)");
    assert!(matches!(use_keys(&home, &secret).await, Err(KeysError::OtherWorkspace { .. })));
}

#[tokio::test]
async fn rows_of_others_do_not_fit() {
    let (web, api) = ("(SELECT id FROM clients WHERE name = 'web')", "(SELECT id FROM clients WHERE name = 'api')");
    let swaps = [
        format!("UPDATE shares SET wrapped = (SELECT s.wrapped FROM shares s WHERE s.client = {api} AND s.split = shares.split) WHERE client = {web}"),
        format!("UPDATE shares SET sealed = (SELECT s.sealed FROM shares s WHERE s.client = {api} AND s.split = shares.split) WHERE client = {web}"),
        format!("UPDATE shares SET wrapped = (SELECT s.wrapped FROM shares s WHERE s.client = {web} AND s.split = 2) WHERE client = {web} AND split = 1"),
        format!("UPDATE grants SET (body, signature) = (SELECT body, signature FROM grants WHERE client = {api}) WHERE client = {web}"),
        "UPDATE clients SET (body, signature) = (SELECT body, signature FROM clients WHERE name = 'api') WHERE name = 'web'".to_owned(),
        "UPDATE certificates SET (body, signature) = (SELECT body, signature FROM certificates WHERE split = 2) WHERE split = 1".to_owned(),
    ];
    for swap in swaps {
        let home = Home::new();
        let secret = home.application();
        home.client("api", &["default"], Permissions::APPLICATION);
        home.sql(&swap);
        let found = use_keys(&home, &secret).await;
        assert!(matches!(found, Err(KeysError::Tampered { .. })), "{swap}: {found:?}");
    }
}

#[tokio::test]
async fn a_grant_that_was_put_back_has_no_share() {
    let home = Home::new();
    let secret = home.application();
    home.sql("CREATE TABLE saved AS SELECT * FROM grants");
    home.open().revoke("web", None).expect("revoke");
    home.sql("INSERT INTO grants SELECT * FROM saved WHERE client NOT IN (SELECT client FROM grants)");
    assert!(matches!(use_keys(&home, &secret).await, Err(KeysError::Tampered { .. })));
}

#[tokio::test]
async fn a_revoked_grant_that_was_put_back_whole_is_refused() {
    let home = Home::new();
    let secret = home.application();
    home.sql("CREATE TABLE saved AS SELECT * FROM grants");
    home.sql("CREATE TABLE shares_saved AS SELECT * FROM shares");
    home.open().revoke("web", None).expect("revoke");
    home.sql("INSERT INTO grants SELECT * FROM saved WHERE client NOT IN (SELECT client FROM grants)");
    home.sql("INSERT INTO shares SELECT * FROM shares_saved WHERE client NOT IN (SELECT client FROM shares)");
    let found = use_keys(&home, &secret).await;
    assert!(matches!(found, Err(KeysError::Tampered { .. })), "{found:?}");
    home.open().grant("web", "default", Permissions::APPLICATION, None).expect("grant again");
    use_keys(&home, &secret).await.expect("an admin's grant counts");
}

#[tokio::test]
async fn rows_of_the_wrong_type_are_corrupt() {
    for damage in [
        "UPDATE clients SET signature = 'text'".to_owned(),
        format!("UPDATE grants SET signer = {}", Home::bytes("00")),
        "UPDATE workspace SET revision = -1".to_owned(),
    ] {
        let home = Home::new();
        let secret = home.application();
        home.sql(&damage);
        let found = use_keys(&home, &secret).await;
        assert!(matches!(found, Err(KeysError::StoreCorrupt { .. })), "{damage}: {found:?}");
    }
}
