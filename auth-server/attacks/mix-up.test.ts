import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { decodeJwt } from 'jose'
import { refusal } from '../testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from '../testing/bank-fixtures.ts'
import { CustomerAtBrowser, fragmentOf, responseOf } from '../testing/browser.ts'
import { CibaClient, intent } from '../testing/ciba-client.ts'
import { openLatest, signedInAtDashboard } from '../testing/dashboard-customer.ts'
import { type EveryProfile, parametersIn, registerEveryProfile, withRedirects } from '../testing/every-profile.ts'
import { exchange } from '../testing/exchange.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { intentClaim } from '../testing/third-party.ts'

/** RFC 9700 section 4.4: a client that talks to several servers is made to take one's answer for another's. */
let server: TestServer
let ada: TestCustomer
let every: EveryProfile

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  every = await registerEveryProfile(server)
})
after(() => server.stop())

test('mix-up: every answer, yes or no, names this issuer, and a signed one its client too (BCP-04 ISS-01 JARM-01 FAPI2-AZ-07)', async () => {
  for (const client of withRedirects(every))
    for (const action of ['confirm', 'cancel']) {
      const claims = intentClaim(await lodgeAccounts(server, client.clientId))
      const at = new CustomerAtBrowser(server, ada)
      const page = await at.signIn(await at.open(client, String((await client.push({ claims })).json['request_uri'])))
      const answer = await at.submit(page, { action, account: ada.accounts.slice(0, 1) })
      const found = parametersIn(answer)
      const { id_token } = fragmentOf(answer)
      // RFC 9207 section 2.4: an ID token in the answer names the issuer itself.
      if (id_token === undefined) assert.equal(found['iss'], server.issuer, client.clientId)
      else assert.deepEqual([decodeJwt(id_token).iss, decodeJwt(id_token).aud], [server.issuer, client.clientId])
      assert.equal(action === 'confirm' ? found['error'] : found['code'], undefined, client.clientId)
      if (client.profile.responseModes[0] === 'jwt') {
        assert.equal(found['aud'], client.clientId)
        assert.equal(responseOf(answer)['code'], undefined, 'nothing beside the signed response')
      }
    }
})

test('mix-up: what one CIBA client asked is fetched by no other, and is not used up by trying (CIBA-09 BCP-04)', async () => {
  const other = await CibaClient.register(server, 'fapi-ciba-other')
  const id = await every.fapi_ciba.asked({ login_hint: ada.username, ...intent(await lodgeAccounts(server, every.fapi_ciba.clientId)) })
  const at = await signedInAtDashboard(server, ada)
  await at.agree(await openLatest(at), ada.accounts.slice(0, 1))
  assert.equal(refusal(await other.poll(id)), '400 invalid_grant')
  for (const client of withRedirects(every))
    assert.match(
      refusal(await client.token({ grant_type: 'urn:openid:params:grant-type:ciba', auth_req_id: id })),
      /^400 unauthorized_client$/,
    )
  assert.equal((await every.fapi_ciba.poll(id)).status, 200)
})

test('mix-up: the metadata name this issuer whatever name the server is called by, and every endpoint is of its two origins (FAPI2-AS-01)', async () => {
  const url = `${server.issuer}/.well-known/openid-configuration`
  const { json } = await exchange(url, { ca: server.ca })
  assert.equal(json['issuer'], server.issuer)
  assert.equal(json['authorization_response_iss_parameter_supported'], true)
  const addresses = Object.entries(json).filter(([name]) => name.endsWith('_endpoint') || name === 'jwks_uri')
  for (const [name, address] of addresses) assert.ok([server.issuer, server.mtlsIssuer].includes(new URL(String(address)).origin), name)
  const asAnother = await exchange(url, { ca: server.ca, headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example' } })
  assert.equal(asAnother.status, 421)
  const forwarded = { 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' }
  assert.deepEqual((await exchange(url, { ca: server.ca, headers: forwarded })).json, json)
})
