import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, random, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let careful: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  careful = await ThirdParty.register(server, 'careful', { metadata: { require_dpop_nonce: true } })
})
after(() => server.stop())

const cc = { grant_type: 'client_credentials', scope: 'accounts' }
const proving = async (nonce?: string, path: '/token' | '/par' = '/token') => ({
  headers: { dpop: await careful.proof(careful.endpoint(path), nonce === undefined ? {} : { nonce }) },
})

test('DPOP-07 FAPI2-AS-10 FAPI2-CL-07 a client that must use nonces is given one, and served with it', async () => {
  const refused = await careful.token(cc)
  assert.equal(refusal(refused), '400 use_dpop_nonce')
  assert.match(refused.headers['cache-control'] ?? '', /no-store/)
  const nonce = refused.headers['dpop-nonce'] ?? assert.fail('a nonce')
  assert.match(nonce, /^[\x21-\x7e]{16,}$/)
  assert.equal((await careful.token(cc, await proving(nonce))).status, 200)
  // Each proof is used once, a nonce as long as it lasts.
  assert.equal((await careful.token(cc, await proving(nonce))).status, 200)
})

test('DPOP-07 FAPI2-AS-10 a nonce that is made up, altered or of another server is refused, and a good one offered', async () => {
  const nonce = (await careful.token(cc)).headers['dpop-nonce'] ?? ''
  const altered = `${nonce.startsWith('A') ? 'B' : 'A'}${nonce.slice(1)}`
  for (const wrong of [random(), altered, `${nonce}x`]) {
    const answer = await careful.token(cc, await proving(wrong))
    assert.equal(refusal(answer), '400 use_dpop_nonce')
    assert.equal((await careful.token(cc, await proving(answer.headers['dpop-nonce']))).status, 200)
  }
})

test('DPOP-07 DPOP-08 a proof at PAR needs its nonce too, and without a proof there the request is pushed as ever', async () => {
  const params = { claims: intentClaim(await lodgeAccounts(server, 'careful')) }
  const refused = await careful.push(params, await proving(undefined, '/par'))
  assert.equal(refusal(refused), '400 use_dpop_nonce')
  assert.equal((await careful.push(params, await proving(refused.headers['dpop-nonce'], '/par'))).status, 201)
  assert.equal((await careful.push(params)).status, 201)
})

test('DPOP-07 a code is not used up by a redemption that lacked the nonce', async () => {
  const customer = new CustomerAtBrowser(server, ada)
  const requestUri = await pushed(careful, { claims: intentClaim(await lodgeAccounts(server, 'careful')) })
  const page = await customer.signIn(await customer.open(careful, requestUri))
  const { code = '' } = responseOf(await customer.agree(page, ada.accounts.slice(0, 1)))
  const refused = await careful.redeem(code)
  assert.equal(refusal(refused), '400 use_dpop_nonce')
  const tokens = await careful.redeem(code, {}, await proving(refused.headers['dpop-nonce']))
  assert.deepEqual([tokens.status, tokens.json['token_type']], [200, 'DPoP'])
  const again = await careful.refresh(String(tokens.json['refresh_token']))
  assert.equal(refusal(again), '400 use_dpop_nonce')
  const refreshed = await careful.refresh(String(tokens.json['refresh_token']), {}, await proving(again.headers['dpop-nonce']))
  assert.equal(refreshed.status, 200)
})

test('DPOP-07 of other clients no nonce is asked, and one that they send is checked', async () => {
  const acorn = await ThirdParty.register(server, 'acorn')
  assert.equal((await acorn.token(cc)).status, 200)
  const headers = { dpop: await acorn.proof(acorn.endpoint('/token'), { nonce: random() }) }
  assert.equal(refusal(await acorn.token(cc, { headers })), '400 use_dpop_nonce')
})
