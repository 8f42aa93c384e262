import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertOfficial, definitionsMissing } from './official-definitions.ts'

const path = '/open-banking/v4.0/aisp/accounts'
const headers = { 'content-type': 'application/json; charset=utf-8', 'x-fapi-interaction-id': 'b8c6f7a2-5f1b-4a53-9a39-1a9a2a8a0a11' }
const answer = (status: number, body?: object) => ({ status, headers, text: body === undefined ? '' : JSON.stringify(body), body })

test('the check of answers lets good ones through and notices bad ones', (t) => {
  if (definitionsMissing !== undefined) return t.skip(definitionsMissing)
  const good = { Data: { Account: [{ AccountId: 'acc_1' }] }, Links: { Self: 'https://rs.bankside.test/' }, Meta: {} }
  assertOfficial('GET', path, answer(200, good))
  assert.throws(() => assertOfficial('GET', path, answer(200, { ...good, Extra: 1 })), /additionalProperties/)
  assert.throws(() => assertOfficial('GET', path, answer(200, { ...good, Data: { Account: [{ Status: 'Enabled' }] } })), /AccountId/)
  assert.throws(() => assertOfficial('GET', path, answer(200, { ...good, Links: { Self: 'nowhere' } })), /format/)
  assert.throws(() => assertOfficial('GET', path, answer(418)), /no answer 418/)
  assert.throws(() => assertOfficial('GET', path, answer(401, { Errors: [] })), /has no body/)
  assert.throws(() => assertOfficial('GET', '/open-banking/v4.0/aisp/nothing', answer(200, good)), /no answer 200/)
  assert.throws(() => assertOfficial('GET', path, { ...answer(200, good), headers: { ...headers, 'content-type': 'application/json' } }))
})
