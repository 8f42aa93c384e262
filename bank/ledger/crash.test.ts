import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCrashes } from './testing/run-crashes.ts'

test('the writer and PostgreSQL killed 25 times under load: nothing answered is lost, nothing is done twice, the books agree', {
  timeout: 300_000,
}, async (t) => {
  const { answered, again } = await runCrashes(25)
  t.diagnostic(`${answered} movements answered, ${again} asked again`)
  assert.ok(answered > 500 && again > 0, `${answered} answered, ${again} asked again: kill earlier or later`)
})
