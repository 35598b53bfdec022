// In place of tests/test.js of postgres.js: every test runs, also after one that failed, and says how it ended.
import util from 'util'

const tests = []
const add = (skipped, ...rest) => {
  const fn = rest.pop(), [name, options = {}] = rest
  tests.push({ name, fn, skipped, seconds: options.timeout || t.timeout })
  if (tests.length === 1)
    setImmediate(run)
}
export const t = (...rest) => add(/^Connect using SSL (require)?$|^Connect using SSL$|^Reconnect using SSL$|^Multiple hosts$/.test(rest[0]), ...rest)
export const nt = (...rest) => add(true, ...rest)
export const ot = t
t.timeout = 5

const seen = {}
const say = (name, outcome) => {
  seen[name] = (seen[name] || 0) + 1
  console.log('test', (name + (seen[name] > 1 ? ' ' + seen[name] : '')).replace(/\s+/g, '_'), outcome)
}

async function run() {
  for (const { name, fn, skipped, seconds } of tests) {
    if (skipped) {
      say(name, 'skipped')
      continue
    }
    let timer
    const late = new Promise((_, reject) => timer = setTimeout(() => reject(new Error('timed out')), seconds * 1000))
    try {
      const [expected, got] = await Promise.race([Promise.resolve().then(fn).then(x => Promise.all(x)), late])
      if (expected !== got)
        throw new Error(util.inspect(expected) + ' != ' + util.inspect(got))
      say(name, 'passed')
    } catch (error) {
      console.log(name, util.inspect(error))
      say(name, 'failed')
    }
    clearTimeout(timer)
  }
  process.exit(0)
}
process.on('unhandledRejection', error => console.log('unhandled', util.inspect(error)))
process.on('uncaughtException', error => console.log('uncaught', util.inspect(error)))
