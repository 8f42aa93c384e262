import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { decodeJwt } from 'jose'
import { authoriseAccounts, authorisedTokens, pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgePayment, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { type ResourceServer, startResourceServer } from './testing/resource-server.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let api: ResourceServer
let ada: TestCustomer
let acorn: ThirdParty

before(async () => {
  server = await startTestServer()
  api = await startResourceServer(server)
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
})
after(async () => {
  await api.close()
  await server.stop()
})

const accounts = '/open-banking/v4.0/aisp/accounts'

test('FAPI2-AS-09 D14 the answer to a refresh is lost: the same request is good again, as often as it takes, and no token changed', async () => {
  const { tokens } = await authorisedTokens(acorn, ada)
  const refreshToken = String(tokens.json['refresh_token'])
  const answers = await Promise.all(Array.from({ length: 5 }, () => acorn.refresh(refreshToken)))
  for (const { status, json } of answers) {
    assert.deepEqual([status, json['refresh_token']], [200, refreshToken])
    assert.equal((await api.call(acorn, 'GET', accounts, String(json['access_token']))).status, 200)
  }
})

test('FAPI2-AZ-09 RW-TOK-04 the answer to a code is lost: repeating it ends the grant and not the consent, which is continued without another sign-in', async () => {
  const { consentId, code, customer } = await authoriseAccounts(acorn, ada)
  const lost = await acorn.redeem(code)
  assert.equal(refusal(await acorn.redeem(code)), '400 invalid_grant')
  assert.equal(
    (await api.call(acorn, 'GET', accounts, String(lost.json['access_token']))).status,
    401,
    'what somebody else may have caught is worth nothing',
  )
  assert.equal((await readConsent(server, consentId)).status, 'AUTH', 'the consent stands')

  const page = await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) }))
  assert.match(page.text, /Keep sharing/, 'one page, the accounts chosen, no factor asked for')
  assert.equal(page.text.match(/\bchecked\b/g)?.length, 2)
  const { code: again = '' } = responseOf(await customer.agree(page, ada.accounts.slice(0, 2)))
  const { json } = await acorn.redeem(again)
  assert.equal(decodeJwt(String(json['access_token']))['consent_id'], consentId)
  assert.equal((await api.call(acorn, 'GET', accounts, String(json['access_token']))).status, 200)
})

test('RW-TOK-03 RW-TOK-04 the code itself is lost: the consent stands without a token, and a new authorization gives one', async () => {
  const { consentId, code: lost, customer } = await authoriseAccounts(acorn, ada)
  const page = await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) }))
  const { code = '' } = responseOf(await customer.agree(page, ada.accounts.slice(0, 1)))
  assert.equal(refusal(await acorn.redeem(lost)), '400 invalid_grant', 'the earlier code is dead')
  assert.equal((await acorn.redeem(code)).status, 200)
})

test('GM-05 FAPI2-AZ-09 the answer that names a changed grant is lost: the grant is known, stands, and is continued by its name', async () => {
  const details = (permissions: readonly string[]) => ({
    claims: undefined,
    authorization_details: JSON.stringify([{ type: 'account_information', permissions }]),
  })
  const first = await authoriseAccounts(acorn, ada, { ...details(['ReadAccountsBasic']), grant_management_action: 'create' })
  const grantId = String((await acorn.redeem(first.code)).json['grant_id'])
  const change = async (action: 'merge' | 'replace', permissions: readonly string[]) => {
    const params = { ...details(permissions), grant_management_action: action, grant_id: grantId }
    const page = await first.customer.open(acorn, await pushed(acorn, params))
    return responseOf(await first.customer.agree(page, ada.accounts.slice(0, 1)))['code'] ?? ''
  }
  const lost = await change('merge', ['ReadAccountsBasic', 'ReadBalances'])
  await acorn.redeem(lost)
  assert.equal(refusal(await acorn.redeem(lost)), '400 invalid_grant')
  const { json } = await acorn.redeem(await change('replace', ['ReadAccountsBasic', 'ReadBalances']))
  assert.equal(json['grant_id'], grantId)
  assert.equal((await api.call(acorn, 'GET', accounts, String(json['access_token']))).status, 200)
})

test('CON-06 PIS-18 a payment’s answer is lost: nothing was paid, the consent is not authorised twice, and another is lodged', async () => {
  const consentId = await lodgePayment(server, 'acorn')
  const request = { scope: 'openid payments', claims: intentClaim(consentId) }
  const at = new CustomerAtBrowser(server, ada)
  const page = await at.signIn(await at.open(acorn, await pushed(acorn, request)))
  const { code = '' } = responseOf(await at.agree(page, ada.accounts.slice(0, 1)))
  await acorn.redeem(code)
  assert.equal(refusal(await acorn.redeem(code)), '400 invalid_grant')
  assert.equal(refusal(await acorn.push(request)), '400 invalid_request')
  const again = { scope: 'openid payments', claims: intentClaim(await lodgePayment(server, 'acorn')) }
  const second = await at.open(acorn, await pushed(acorn, again))
  assert.match(second.text, /6-digit code/, 'its own second factor, without the password')
})
