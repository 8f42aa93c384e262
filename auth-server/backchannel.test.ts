import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CibaClient, intent } from './testing/ciba-client.ts'
import { openLatest, signedInAtDashboard } from './testing/dashboard-customer.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'

let server: TestServer
let ada: TestCustomer
let acorn: CibaClient

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await CibaClient.register(server, 'acorn')
})
after(() => server.stop())

test('CIBA-04 a signed request is taken', async () => {
  const answer = await acorn.ask({ login_hint: ada.username, ...intent(await lodgeAccounts(server, 'acorn')) })
  assert.equal(answer.status, 200, answer.text)
  assert.equal(refusal(await acorn.poll(String(answer.json['auth_req_id']))), '400 authorization_pending')
  assert.equal(refusal(await acorn.poll(String(answer.json['auth_req_id']))), '400 slow_down')
})

test('CIBA-09 an account access, from the question to the token', async () => {
  const consentId = await lodgeAccounts(server, 'acorn')
  const id = await acorn.asked({ login_hint: ada.username, ...intent(consentId) })
  const at = await signedInAtDashboard(server, ada)
  const page = await openLatest(at)
  assert.match(page.text, /A1-B2/)
  const done = await at.agree(page, ada.accounts.slice(0, 1))
  assert.match(done.text, /You said yes/)
  const tokens = await acorn.poll(id)
  assert.equal(tokens.status, 200, tokens.text)
  assert.equal(refusal(await acorn.poll(id)), '400 invalid_grant')
})
