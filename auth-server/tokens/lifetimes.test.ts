import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Consent } from '@bankside/bank/consents/consent'
import { accessTokenSeconds, authorizationCodeSeconds, grantSeconds, isEndless, sessionSeconds } from './lifetimes.ts'

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

test('D13 UK: an account access lasts as long as its consent; EU: the customer comes back within 180 days', () => {
  const now = new Date('2026-11-28T12:00:00Z')
  const access = (days?: number) =>
    ({ kind: 'account_access', ...(days && { expiresAt: new Date(now.getTime() + days * 86_400_000) }) }) as Consent
  assert.equal(grantSeconds(access(400), now, 'uk_10a'), 400 * 86_400)
  assert.ok(isEndless(grantSeconds(access(), now, 'uk_10a')))
  assert.equal(grantSeconds(access(400), now, 'eu_180d'), 180 * 86_400)
  assert.equal(grantSeconds(access(), now, 'eu_180d'), 180 * 86_400)
  assert.equal(grantSeconds(access(20), now, 'eu_180d'), 20 * 86_400)
})
