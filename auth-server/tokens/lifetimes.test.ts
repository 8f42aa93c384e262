import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessTokenSeconds, authorizationCodeSeconds, sessionSeconds } from './lifetimes.ts'

test('CX-11 a session lasts five idle minutes, and an hour at the most', () => {
  assert.equal(sessionSeconds(1_000, 1_000), 300)
  assert.equal(sessionSeconds(1_000, 1_000 + 3_500), 100)
  assert.equal(sessionSeconds(1_000, 1_000 + 9_999), 1)
  assert.equal(sessionSeconds(undefined, 1_000), 300)
})

test('FAPI2-AS-11 FAPI2-CR-10 codes live at most a minute, access tokens minutes', () => {
  assert.ok(authorizationCodeSeconds <= 60)
  assert.ok(accessTokenSeconds <= 600)
})
