import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { exportJWK } from 'jose'
import { refusal } from '../testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from '../testing/bank-fixtures.ts'
import { CustomerAtBrowser } from '../testing/browser.ts'
import { codeFor, type EveryProfile, parametersIn, registerEveryProfile, tokensFor, withRedirects } from '../testing/every-profile.ts'
import { exchange } from '../testing/exchange.ts'
import { callGrant, ownToken, proofFor } from '../testing/grants-client.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { intentClaim, ThirdParty } from '../testing/third-party.ts'

/** RFC 9700 section 4.10, FAPI attacker model A5: tokens and proofs in the hands of somebody who has no key to them. */
let server: TestServer
let ada: TestCustomer
let every: EveryProfile
let acorn: ThirdParty
let thief: ThirdParty
const scope = 'openid accounts payments grant_management_query grant_management_revoke'

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  every = await registerEveryProfile(server)
  acorn = await ThirdParty.register(server, 'acorn', { metadata: { scope } })
  thief = await ThirdParty.register(server, 'thief', { metadata: { scope } })
})
after(() => server.stop())

async function managed(client: ThirdParty): Promise<string> {
  const detail = JSON.stringify([{ type: 'account_information', permissions: ['ReadAccountsBasic'] }])
  const { code } = await codeFor(client, ada, { claims: undefined, authorization_details: detail, grant_management_action: 'create' })
  return String((await client.redeem(code)).json['grant_id'])
}

test('stolen token: over another certificate, over none, or as another kind of token it opens nothing at userinfo, of any profile (OIDC-07 BCP-05)', async () => {
  for (const client of [...withRedirects(every), every.fapi_ciba]) {
    const { access, refresh, idToken } = await tokensFor(client, ada)
    const own = client instanceof ThirdParty ? client : client.thirdParty
    const url = `${server.mtlsIssuer}/userinfo`
    const by = (token: string, credential?: typeof own.credential) =>
      exchange(url, { ca: server.ca, headers: { authorization: `Bearer ${token}` }, ...(credential && { credential }) })
    assert.equal((await by(access, own.credential)).status, 200)
    for (const [token, credential] of [
      [access, thief.credential],
      [access, undefined],
      [refresh, own.credential],
      [idToken, own.credential],
    ] as const)
      assert.equal((await by(token, credential)).status, 401, own.clientId)
    const asProof = { authorization: `DPoP ${access}`, dpop: await thief.proof(url, { htm: 'GET' }) }
    assert.notEqual((await exchange(url, { ca: server.ca, credential: thief.credential, headers: asProof })).status, 200)
  }
})

test('stolen token: a third party’s own token manages no grants of another, with its key, another’s, or none (GM-07 GM-11)', async () => {
  const [grantId, token] = [await managed(acorn), await ownToken(acorn, 'grant_management_query')]
  const url = `${server.issuer}/grants/${grantId}`
  const present = async (dpop: string | undefined, authorization = `DPoP ${token}`) =>
    (await exchange(url, { ca: server.ca, headers: { authorization, ...(dpop !== undefined && { dpop }) } })).status
  assert.equal(await present(undefined), 401)
  assert.equal(await present(undefined, `Bearer ${token}`), 401)
  assert.equal(await present(await proofFor(thief, 'GET', url, token)), 401)
  const proof = await proofFor(acorn, 'GET', url, token)
  assert.equal(await present(proof), 200)
  assert.equal(await present(proof), 401, 'a proof once')
  assert.equal(await present(await proofFor(acorn, 'DELETE', url, token)), 401)
  assert.equal(await present(await proofFor(acorn, 'GET', `${server.mtlsIssuer}/grants/${grantId}`, token)), 401)
  assert.equal((await callGrant(thief, 'GET', grantId)).status, 404)
  assert.equal((await callGrant(thief, 'DELETE', grantId)).status, 404)
  assert.equal((await callGrant(acorn, 'GET', grantId)).status, 200)
})

test('stolen grant_id: it is merged or replaced by nobody but its client, and changes nothing for another customer (GM-02 GM-11)', async () => {
  const grant_id = await managed(acorn)
  const authorization_details = JSON.stringify([{ type: 'account_information', permissions: ['ReadAccountsBasic', 'ReadBalances'] }])
  for (const grant_management_action of ['merge', 'replace']) {
    const asked = { claims: undefined, authorization_details, grant_management_action, grant_id }
    assert.equal(refusal(await thief.push(asked)), '400 invalid_grant_id')
    const bob = await enterCustomer(server, `bob-${grant_management_action}`)
    const at = new CustomerAtBrowser(server, bob)
    const answer = await at.signIn(await at.open(acorn, String((await acorn.push(asked)).json['request_uri'])))
    assert.doesNotMatch(answer.headers['location'] ?? '', /code=/)
    assert.match(answer.text, /another|somebody else|other/i)
  }
  assert.equal((await callGrant(acorn, 'GET', grant_id)).status, 200)
})

test('stolen proof: a DPoP proof that was seen is good for no second request, no other endpoint and no other token (DPOP-01 DPOP-03 DPOP-06)', async () => {
  const { code } = await codeFor(acorn, ada)
  const dpop = await acorn.proof(`${server.issuer}/token`)
  const cc = { grant_type: 'client_credentials', scope: 'accounts' }
  const { json } = await acorn.redeem(code, {}, { headers: { dpop } })
  assert.ok(json['access_token'])
  assert.match(refusal(await acorn.token(cc, { headers: { dpop } })), /^400 invalid_(grant|dpop_proof)$/)
  const token = String(json['access_token'])
  const other = await acorn.proof(`${server.issuer}/token`)
  assert.notEqual((await acorn.userinfo(token, { headers: { authorization: `DPoP ${token}`, dpop: other } })).status, 200)
  const ofAnother = await proofFor(acorn, 'GET', `${server.issuer}/userinfo`, await ownToken(acorn, 'accounts'))
  assert.notEqual((await acorn.userinfo(token, { headers: { authorization: `DPoP ${token}`, dpop: ofAnother } })).status, 200)
  const forged = await thief.proof(`${server.issuer}/userinfo`, { htm: 'GET', jwk: await exportJWK(acorn.proofKey.publicKey) })
  assert.notEqual((await acorn.userinfo(token, { headers: { authorization: `DPoP ${token}`, dpop: forged } })).status, 200)
  assert.equal((await acorn.userinfo(token)).status, 200)
})

test('narrowed token: one that names a part twice does not put the parts together (RAR-04)', async () => {
  const asked = JSON.stringify([{ type: 'account_information', permissions: ['ReadAccountsBasic', 'ReadBalances'] }])
  const { code } = await codeFor(every.fapi2_sp, ada, { claims: undefined, authorization_details: asked })
  const { json } = await every.fapi2_sp.redeem(code)
  const narrowed = (...parts: string[]) => {
    const details = parts.map((permission) => ({ type: 'account_information', permissions: [permission] }))
    return every.fapi2_sp.refresh(String(json['refresh_token']), { authorization_details: JSON.stringify(details) })
  }
  assert.equal((await narrowed('ReadBalances')).status, 200)
  assert.equal(refusal(await narrowed('ReadBalances', 'ReadAccountsBasic')), '400 invalid_authorization_details')
  assert.equal(refusal(await narrowed('ReadTransactionsDetail')), '400 invalid_authorization_details')
})

test('stolen registration: a scope that a client gave up is not had by a grant from before (UKDCR-16 BCP-06)', async () => {
  for (const profile of ['fapi2_sp', 'fapi1_adv_jarm'] as const) {
    const client = await ThirdParty.register(server, `narrower-${profile.replaceAll('_', '-')}`, { profile, constraint: 'mtls' })
    const { refresh } = await tokensFor(client, ada)
    const { code } = await codeFor(client, ada)
    await server.owner.query(sql.unsafe`
      update clients.client set metadata = metadata || '{"scope":"openid payments"}', updated_at = now() where client_id = ${client.clientId}`)
    assert.equal(refusal(await client.refresh(refresh)), '400 invalid_scope')
    assert.equal(refusal(await client.redeem(code)), '400 invalid_scope')
  }
})

test('one request, three ways to name a consent: they agree, or the request is refused, of any profile (RW-TOK-07 GM-03)', async () => {
  for (const client of withRedirects(every)) {
    const [one, two] = [await lodgeAccounts(server, client.clientId), await lodgeAccounts(server, client.clientId)]
    const named = (consentId: string) => JSON.stringify([{ type: 'openbanking_consent', consent_id: consentId }])
    const terms = JSON.stringify([{ type: 'account_information', permissions: ['ReadAccountsBasic'] }])
    const both = JSON.stringify([...JSON.parse(named(one)), ...JSON.parse(terms)])
    for (const params of [
      { claims: intentClaim(one), authorization_details: named(two) },
      { claims: intentClaim(one), authorization_details: terms },
      { claims: undefined, authorization_details: both },
      { claims: intentClaim(one), authorization_details: named(one), grant_management_action: 'merge', grant_id: `gnt_${'0'.repeat(32)}` },
      { claims: intentClaim(one), grant_id: `gnt_${'0'.repeat(32)}` },
      { claims: intentClaim(one), grant_management_action: 'create', grant_id: `gnt_${'0'.repeat(32)}` },
    ] as Record<string, string | undefined>[])
      assert.match(refusal(await client.push(params)), /^400 invalid_(request|authorization_details|grant_id)$/, client.clientId)
    const at = new CustomerAtBrowser(server, ada)
    const agreeing = await client.push({ claims: intentClaim(one), authorization_details: named(one) })
    const page = await at.signIn(await at.open(client, String(agreeing.json['request_uri'])))
    assert.ok(parametersIn(await at.agree(page, ada.accounts.slice(0, 1)))['code'], client.clientId)
  }
})
