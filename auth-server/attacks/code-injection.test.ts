import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { decodeJwt } from 'jose'
import { refusal } from '../testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from '../testing/bank-fixtures.ts'
import { CustomerAtBrowser, fragmentOf } from '../testing/browser.ts'
import { codeFor, type EveryProfile, registerEveryProfile, withRedirects } from '../testing/every-profile.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { intentClaim, random, type ThirdParty } from '../testing/third-party.ts'

/** RFC 9700 sections 4.5, 4.8: a code that somebody else was given, or a flow without what would show that. */
let server: TestServer
let ada: TestCustomer
let every: EveryProfile
let others: EveryProfile
let hybrid: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  every = await registerEveryProfile(server)
  others = await registerEveryProfile(server, 'other')
  hybrid = every.fapi1_adv_hybrid
})
after(() => server.stop())

const claimsOf = async (thirdParty: ThirdParty) => intentClaim(await lodgeAccounts(server, thirdParty.clientId))

const tricks: Readonly<Record<string, (client: ThirdParty, code: string, thief: ThirdParty) => ReturnType<ThirdParty['redeem']>>> = {
  'by another client, with its verifier': (client, code, thief) => thief.redeem(code, { code_verifier: client.verifier }),
  'by another client that says to be the first': (client, code, thief) =>
    thief.redeem(code, { code_verifier: client.verifier, client_id: client.clientId }),
  'with the verifier of another session': (client, code, thief) => client.redeem(code, { code_verifier: thief.verifier }),
  'without a verifier': (client, code) => client.redeem(code, { code_verifier: undefined }),
  'with another redirect URI': (client, code) => client.redeem(code, { redirect_uri: 'https://third-party.example/callback' }),
  'without the redirect URI': (client, code) => client.redeem(code, { redirect_uri: undefined }),
}

for (const [what, trick] of Object.entries(tricks))
  test(`code injection: a code is not redeemed ${what}, of any profile (BCP-11 FAPI2-AZ-05 FAPI1A-05)`, async () => {
    for (const [index, client] of withRedirects(every).entries()) {
      const { code } = await codeFor(client, ada)
      const thief = withRedirects(others)[index] as ThirdParty
      assert.match(refusal(await trick(client, code, thief)), /^40[01] (invalid_grant|invalid_request|invalid_client)$/, client.clientId)
    }
  })

test('code injection: a hybrid client sees by the ID token that the code or the state is that of another answer (FAPI1A-08 OIDC-04)', async () => {
  const half = (text = '') => hash('sha256', text, 'buffer').subarray(0, 16).toString('base64url')
  const [one, another] = [await codeFor(hybrid, ada), await codeFor(hybrid, ada)]
  const { c_hash, s_hash, nonce } = decodeJwt(one.response['id_token'] ?? '')
  assert.deepEqual([c_hash, s_hash], [half(one.code), half(one.response['state'])])
  assert.notEqual(c_hash, half(another.code))
  assert.notEqual(s_hash, half(another.response['state']))
  assert.notEqual(nonce, decodeJwt(another.response['id_token'] ?? '')['nonce'])
})

test('code injection: a request_uri that another client pushed is no code, and a code no request_uri or refresh token (FAPI2-CR-01)', async () => {
  for (const client of withRedirects(every)) {
    const { code } = await codeFor(client, ada)
    assert.equal(refusal(await client.refresh(code)), '400 invalid_grant')
    const at = new CustomerAtBrowser(server, ada)
    const opened = await at.openWith({ client_id: client.clientId, request_uri: `urn:ietf:params:oauth:request_uri:${code}` })
    assert.deepEqual([opened.status, opened.headers['location']], [400, undefined])
    assert.equal((await client.redeem(code)).status, 200)
    assert.equal(refusal(await client.redeem(random())), '400 invalid_grant')
  }
})

test('PKCE downgrade: a verifier for a code that was asked for without a challenge is refused (BCP-03 FAPI2-AZ-05)', async () => {
  const withoutPkce = { code_challenge: undefined, code_challenge_method: undefined }
  const request = await hybrid.requestObject({ ...withoutPkce, claims: await claimsOf(hybrid) })
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.openWith({ client_id: hybrid.clientId, request }))
  const { code = '' } = fragmentOf(await customer.agree(page, ada.accounts.slice(0, 1)))
  assert.equal(refusal(await hybrid.redeem(code)), '400 invalid_grant')
})
