import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { calculateJwkThumbprint, createLocalJWKSet, decodeJwt, exportJWK, generateKeyPair, type JSONWebKeySet, jwtVerify } from 'jose'
import { authoriseAccounts, authorisedTokens, pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { exchange } from './testing/exchange.ts'
import { rewritePayloads } from './testing/stored-payloads.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { firstPartyScopes, intentClaim, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
const parties: Record<string, ThirdParty> = {}
let acorn: ThirdParty
let dunmore: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  for (const authentication of ['private_key_jwt', 'tls_client_auth'] as const)
    for (const constraint of ['dpop', 'mtls'] as const)
      parties[`${authentication} and ${constraint}`] = await ThirdParty.register(
        server,
        `tpp-${authentication === 'private_key_jwt' ? 'jwt' : 'tls'}-${constraint}`,
        { authentication, constraint },
      )
  acorn = parties['private_key_jwt and dpop'] as ThirdParty
  dunmore = parties['tls_client_auth and mtls'] as ThirdParty
})
after(() => server.stop())

const cc = { grant_type: 'client_credentials', scope: 'accounts' }
const now = () => Math.floor(Date.now() / 1000)

async function verified(token: unknown, typ: string | undefined, audience: string) {
  const { json } = await exchange(`${server.issuer}/jwks`, { ca: server.ca })
  const options = { issuer: server.issuer, audience, ...(typ && { typ }) }
  return jwtVerify(String(token), createLocalJWKSet(json as unknown as JSONWebKeySet), options)
}

for (const name of ['private_key_jwt and dpop', 'private_key_jwt and mtls', 'tls_client_auth and dpop', 'tls_client_auth and mtls'])
  test(`FAPI2-AS-04 FAPI2-AS-05 AT-01 FAPI2-CR-10 MTLS-03 DPOP-04 RW-TOK-01 STEP-03 with ${name} a customer's consent becomes a bound token`, async () => {
    const thirdParty = parties[name] as ThirdParty
    const { consentId, tokens } = await authorisedTokens(thirdParty, ada)
    assert.equal(tokens.status, 200, tokens.text)
    assert.match(tokens.headers['cache-control'] ?? '', /no-store/)
    const dpop = name.endsWith('dpop')
    const { access_token, id_token, refresh_token, ...rest } = tokens.json
    assert.deepEqual(rest, { expires_in: 300, scope: 'openid accounts', token_type: dpop ? 'DPoP' : 'Bearer' })

    const { payload, protectedHeader } = await verified(access_token, 'at+jwt', server.audiences.uk)
    assert.equal(protectedHeader.alg, 'ES256')
    assert.equal(payload['client_id'], thirdParty.clientId)
    assert.equal(payload['consent_id'], consentId)
    assert.equal(payload['acr'], 'urn:openbanking:psd2:sca')
    assert.ok(now() - Number(payload['auth_time']) < 60)
    assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 300)
    const cnf = payload['cnf'] as Record<string, string>
    assert.deepEqual(Object.keys(cnf), [dpop ? 'jkt' : 'x5t#S256'])
    if (dpop) assert.equal(cnf['jkt'], await calculateJwkThumbprint(await exportJWK(thirdParty.proofKey.publicKey)))
    const grant = await server.owner.one(
      sql.unsafe`select client_id, customer_id from oidc.grant where grant_id = ${String(payload['grant_id'])}`,
    )
    assert.deepEqual({ ...(grant as object) }, { client_id: thirdParty.clientId, customer_id: ada.customerId })

    const id = (await verified(id_token, undefined, thirdParty.clientId)).payload
    assert.equal(id['openbanking_intent_id'], consentId)
    assert.equal(id['acr'], 'urn:openbanking:psd2:sca')
    assert.equal(id.sub, payload.sub)
    for (const member of [ada.customerId, 'Full ada', 'ada@example.com'])
      assert.ok(!JSON.stringify([payload, id]).includes(member), 'no person in the token')
    assert.match(String(refresh_token), /^[\w-]{43}$/)
  })

test('OIDC-08 FAPI2-AS-15 two third parties know one customer by two names, and neither is a client id', async () => {
  // One after the other: both at once would pick the same code of hers.
  const subs: unknown[] = []
  for (const client of [acorn, dunmore]) subs.push(decodeJwt(String((await authorisedTokens(client, ada)).tokens.json['id_token'])).sub)
  assert.equal(new Set(subs).size, 2)
  for (const sub of subs) assert.match(String(sub), /^psu:[\w-]{22}$/)
})

test('FAPI2-AZ-18 without openid there is no ID token', async () => {
  const consentId = await lodgeAccounts(server, acorn.clientId)
  const authorization_details = JSON.stringify([{ type: 'openbanking_consent', consent_id: consentId }])
  const requestUri = await pushed(acorn, { scope: 'accounts', nonce: undefined, authorization_details })
  const customer = new CustomerAtBrowser(server, ada)
  const { code } = responseOf(await customer.agree(await customer.signIn(await customer.open(acorn, requestUri)), ada.accounts.slice(0, 1)))
  const { json } = await acorn.redeem(code ?? '')
  assert.equal(json['scope'], 'accounts')
  assert.ok(!('id_token' in json))
})

test('FAPI2-AZ-14 a nonce of 64 characters is returned whole, none as none', async () => {
  const nonce = 'n'.repeat(64)
  const tokens = await acorn.redeem((await authoriseAccounts(acorn, ada, { nonce })).code)
  assert.equal(decodeJwt(String(tokens.json['id_token']))['nonce'], nonce)
  const without = await acorn.redeem((await authoriseAccounts(acorn, ada, { nonce: undefined })).code)
  assert.ok(!('nonce' in decodeJwt(String(without.json['id_token']))))
})

test('FAPI2-AZ-05 BCP-03 BCP-11 FAPI2-AS-12 FAPI2-AS-07 a code is good with its verifier, redirect URI, client and key only', async () => {
  const { code } = await authoriseAccounts(acorn, ada)
  assert.equal(refusal(await acorn.redeem(code, { code_verifier: undefined })), '400 invalid_grant')
  assert.equal(refusal(await acorn.redeem(code, { code_verifier: 'v'.repeat(43) })), '400 invalid_grant')
  assert.equal(refusal(await acorn.redeem(code, { redirect_uri: 'https://third-party.example/callback' })), '400 invalid_grant')
  assert.equal(refusal(await acorn.redeem(code, { redirect_uri: undefined })), '400 invalid_request')
  assert.equal(refusal(await dunmore.redeem(code, { code_verifier: acorn.verifier })), '400 invalid_grant')
  assert.equal((await acorn.redeem(code)).status, 200, 'none of that used it up')
})

test('DPOP-08 FAPI2-AS-12 a code that was asked for with a key is redeemed with that key only', async () => {
  const other = await generateKeyPair('ES256', { extractable: true })
  const jkt = await calculateJwkThumbprint(await exportJWK(acorn.proofKey.publicKey))
  const { code } = await authoriseAccounts(acorn, ada, { dpop_jkt: jkt })
  const proof = await acorn.proof(acorn.endpoint('/token'), {}, other)
  assert.equal(refusal(await acorn.redeem(code, {}, { headers: { dpop: proof } })), '400 invalid_grant')

  const again = await authoriseAccounts(acorn, ada, { dpop_jkt: jkt })
  assert.equal((await acorn.redeem(again.code)).status, 200)
  const mismatch = { headers: { dpop: await acorn.proof(acorn.endpoint('/par'), {}, other) } }
  assert.equal(
    refusal(await acorn.push({ dpop_jkt: jkt, claims: intentClaim(await lodgeAccounts(server, acorn.clientId)) }, mismatch)),
    '400 invalid_request',
  )
})

test('FAPI2-AZ-09 a code used twice is refused, and what the first use gave is dead', async () => {
  const { code, tokens } = await authorisedTokens(acorn, ada)
  assert.equal(refusal(await acorn.redeem(code)), '400 invalid_grant')
  assert.equal(refusal(await acorn.refresh(String(tokens.json['refresh_token']))), '400 invalid_grant')
  const { grant_id } = decodeJwt(String(tokens.json['access_token']))
  const row = await server.owner.one(
    sql.unsafe`select revoked_at is not null as revoked from oidc.grant where grant_id = ${String(grant_id)}`,
  )
  assert.deepEqual({ ...(row as object) }, { revoked: true })
})

test('FAPI2-AS-11 a code is refused after 60 seconds', async () => {
  const { code } = await authoriseAccounts(acorn, ada)
  const over = Math.floor(Date.now() / 1000) - 1
  const codes = await rewritePayloads(server, 'AuthorizationCode', (payload) => ({ ...payload, exp: over }))
  for (const { exp = 0, iat = 0 } of codes) assert.ok(exp - iat <= 60)
  await server.owner.query(sql.unsafe`update oidc.authorization_code set expires_at = now() - interval '1 second'`)
  assert.equal(refusal(await acorn.redeem(code)), '400 invalid_grant')
})

test('FAPI2-AS-09 refreshing twice gives tokens twice and never another refresh token', async () => {
  const { tokens } = await authorisedTokens(acorn, ada)
  const refreshToken = String(tokens.json['refresh_token'])
  for (let times = 0; times < 3; times++) {
    const { status, json } = await acorn.refresh(refreshToken)
    assert.equal(status, 200)
    assert.ok([undefined, refreshToken].includes(json['refresh_token'] as string))
    assert.notEqual(json['access_token'], tokens.json['access_token'])
  }
})

test('BCP-06 FAPI2-AS-14 DPOP-05 a refresh token is of one client, asks for no more than it had, and may change its key', async () => {
  const { tokens } = await authorisedTokens(acorn, ada)
  const refreshToken = String(tokens.json['refresh_token'])
  assert.equal(refusal(await dunmore.refresh(refreshToken)), '400 invalid_grant')
  assert.equal(refusal(await acorn.refresh(refreshToken, { scope: 'openid accounts payments' })), '400 invalid_scope')
  assert.equal(refusal(await acorn.refresh(refreshToken, { resource: server.audiences.bank })), '400 invalid_target')
  const other = await generateKeyPair('ES256', { extractable: true })
  const proof = await acorn.proof(acorn.endpoint('/token'), {}, other)
  const { status, json } = await acorn.refresh(refreshToken, {}, { headers: { dpop: proof } })
  assert.equal(status, 200, 'DPOP-05')
  assert.deepEqual(decodeJwt(String(json['access_token']))['cnf'], { jkt: await calculateJwkThumbprint(await exportJWK(other.publicKey)) })
})

test('MTLS-06 a refresh with a new certificate of the same subject binds to the new one', async () => {
  const { tokens } = await authorisedTokens(dunmore, ada)
  const credential = await server.issueCertificate(dunmore.clientId)
  const { status, json } = await dunmore.refresh(String(tokens.json['refresh_token']), {}, { credential })
  assert.equal(status, 200)
  assert.notDeepEqual(decodeJwt(String(json['access_token']))['cnf'], decodeJwt(String(tokens.json['access_token']))['cnf'])
})

const forAccounts = async (thirdParty: ThirdParty, headers: Record<string, string | string[]>) =>
  refusal(await thirdParty.token(cc, { headers }))
const withProof = async (claims: Record<string, unknown>) =>
  forAccounts(acorn, { dpop: await acorn.proof(acorn.endpoint('/token'), claims) })

test('FAPI2-AS-04 DPOP-04 without proof there is no token', async () => {
  assert.equal(await forAccounts(acorn, {}), '400 invalid_dpop_proof')
})

test('FAPI2-AS-04 MTLS-03 without certificate there is no token', async () => {
  const pkjwt = parties['private_key_jwt and mtls'] as ThirdParty
  assert.equal(
    refusal(await exchange(pkjwt.endpoint('/token'), { ca: server.ca, form: { ...cc, ...(await pkjwt.authentication()) } })),
    '400 invalid_request',
  )
})

test('FAPI2-AS-05 a client that is bound by certificate is not bound by proof instead', async () => {
  const pkjwt = parties['private_key_jwt and mtls'] as ThirdParty
  const issuerToken = `${server.issuer}/token`
  const form = { ...cc, ...(await pkjwt.authentication()) }
  assert.equal(
    refusal(await exchange(issuerToken, { ca: server.ca, form, headers: { dpop: await pkjwt.proof(issuerToken) } })),
    '400 invalid_request',
  )
  assert.equal(await forAccounts(dunmore, { dpop: await dunmore.proof(dunmore.endpoint('/token')) }), '400 invalid_request')
})

const refusedProofs: readonly (readonly [string, () => Record<string, unknown>])[] = [
  ['DPOP-01 another method', () => ({ htm: 'GET' })],
  ['DPOP-01 another address', () => ({ htu: `${server.issuer}/par` })],
  ['DPOP-01 the address of the other listener', () => ({ htu: `${server.mtlsIssuer}/token` })],
  ['DPOP-01 no address', () => ({ htu: undefined })],
  ['DPOP-01 no jti', () => ({ jti: undefined })],
  ['FAPI2-AS-13 a time 65 seconds ahead', () => ({ iat: now() + 65 })],
  ['FAPI2-AS-13 an nbf 65 seconds ahead', () => ({ nbf: now() + 65 })],
]
for (const [what, claims] of refusedProofs)
  test(`${what} makes no proof`, async () => assert.equal(await withProof(claims()), '400 invalid_dpop_proof'))

test('FAPI2-AS-10 DPOP-01 DPOP-07 an old proof is refused with a nonce, and the nonce helps', async () => {
  const answer = await acorn.token(cc, { headers: { dpop: await acorn.proof(acorn.endpoint('/token'), { iat: now() - 3600 }) } })
  assert.equal(refusal(answer), '400 use_dpop_nonce')
  const nonce = answer.headers['dpop-nonce'] ?? ''
  assert.equal(await withProof({ iat: now() - 3600, nonce }), '200 undefined')
  assert.equal(await withProof({ nonce: 'made up' }), '400 use_dpop_nonce')
})

test('DPOP-01 two proofs, a symmetric one, one with a private key or of another type are refused', async () => {
  const proof = await acorn.proof(acorn.endpoint('/token'))
  assert.equal(await forAccounts(acorn, { dpop: [proof, await acorn.proof(acorn.endpoint('/token'))] }), '400 invalid_dpop_proof')
  assert.equal(await forAccounts(acorn, { dpop: 'nonsense' }), '400 invalid_dpop_proof')
  assert.equal(await forAccounts(acorn, { dpop: await acorn.assertion() }), '400 invalid_dpop_proof')
})

test('FAPI2-AS-13 DPOP-02 a proof 8 seconds ahead or 10 behind, with a query in its address or with nbf and exp, is accepted', async () => {
  const url = acorn.endpoint('/token')
  for (const claims of [{ iat: now() + 8 }, { iat: now() - 10 }, { htu: `${url}?x=1#y` }, { nbf: now() - 5, exp: now() + 60 }])
    assert.equal(await withProof(claims), '200 undefined')
})

test('DPOP-01 FAPI2-CL-06 at the mTLS alias the proof is for the alias', async () => {
  const cobalt = parties['tls_client_auth and dpop'] as ThirdParty
  assert.equal(await forAccounts(cobalt, { dpop: await cobalt.proof(`${server.mtlsIssuer}/token`) }), '200 undefined')
  assert.equal(await forAccounts(cobalt, { dpop: await cobalt.proof(`${server.issuer}/token`) }), '400 invalid_dpop_proof')
})

test('AT-03 BCP-05 a client without a customer gets a token of its own, for its own API', async () => {
  const { json } = await acorn.token({ grant_type: 'client_credentials', scope: 'accounts payments' })
  const { payload } = await verified(json['access_token'], 'at+jwt', server.audiences.uk)
  assert.equal(payload.sub, acorn.clientId)
  assert.equal(payload['scope'], 'accounts payments')
  for (const claim of ['grant_id', 'consent_id', 'acr', 'auth_time']) assert.ok(!(claim in payload), claim)
  assert.ok(!('refresh_token' in json) && !('id_token' in json))
})

test('FAPI2-AS-14 BCP-16 without a customer no other scope, API or detail is to be had, and no app of ours gets any', async () => {
  for (const scope of ['openid accounts', 'openid', 'accounts:read', ''])
    assert.equal(refusal(await acorn.token({ ...cc, scope })), '400 invalid_scope', scope)
  assert.equal(refusal(await acorn.token({ ...cc, resource: server.audiences.bank })), '400 invalid_target')
  const authorization_details = JSON.stringify([{ type: 'openbanking_consent', consent_id: await lodgeAccounts(server, acorn.clientId) }])
  assert.equal(refusal(await acorn.token({ ...cc, authorization_details })), '400 invalid_authorization_details')
  const app = await ThirdParty.register(server, 'bank-app', { firstParty: true })
  for (const scope of ['accounts:read', 'accounts', 'payments:write'])
    assert.equal(refusal(await app.token({ ...cc, scope })), '400 unauthorized_client')
})

test('REV-01 REV-02 BCP-06 a revoked refresh token is dead with its grant; other tokens are untouched; what is unknown is answered alike', async () => {
  const { tokens } = await authorisedTokens(acorn, ada)
  const refreshToken = String(tokens.json['refresh_token'])
  assert.equal((await dunmore.post('/revocation', { token: refreshToken })).status, 200)
  assert.equal((await acorn.refresh(refreshToken)).status, 200, "another client's revocation changes nothing")
  assert.equal((await acorn.post('/revocation', { token: 'unknown' })).status, 200)
  assert.equal(
    (await exchange(`${server.issuer}/revocation`, { ca: server.ca, form: { token: refreshToken, client_id: 'acorn' } })).status,
    401,
  )
  assert.equal((await acorn.post('/revocation', { token: refreshToken, token_type_hint: 'refresh_token' })).status, 200)
  assert.equal(refusal(await acorn.refresh(refreshToken)), '400 invalid_grant')
  const { grant_id } = decodeJwt(String(tokens.json['access_token']))
  const row = await server.owner.one(
    sql.unsafe`select revoked_at is not null as revoked from oidc.grant where grant_id = ${String(grant_id)}`,
  )
  assert.deepEqual({ ...(row as object) }, { revoked: true })
})

test('RW-TOK-02 OIDC-05 the end of a refresh token is told when the consent has one, and only then', async () => {
  const claim = 'http://openbanking.org.uk/refresh_token_expires_at'
  const expiresAt = new Date(Date.now() + 86_400_000)
  const consentId = await lodgeAccounts(server, acorn.clientId, expiresAt)
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) })))
  const { code } = responseOf(await customer.agree(page, ada.accounts.slice(0, 1)))
  const limited = decodeJwt(String((await acorn.redeem(code ?? '')).json['id_token']))
  assert.ok(Math.abs(Number(limited[claim]) - expiresAt.getTime() / 1000) <= 5)
  const { tokens } = await authorisedTokens(acorn, ada)
  assert.ok(!(claim in decodeJwt(String(tokens.json['id_token']))))
})

test('RW-TOK-02 OIDC-05 an app of the bank, whose refresh tokens end as well, is told no claim of third parties', async () => {
  const app = await ThirdParty.register(server, 'bank-app', { firstParty: true })
  const customer = new CustomerAtBrowser(server, ada)
  const { code } = responseOf(await customer.signIn(await customer.open(app, await pushed(app, { scope: firstPartyScopes }))))
  const { id_token, refresh_token } = (await app.redeem(code ?? '')).json
  const claims = ['acr', 'amr', 'aud', 'auth_time', 'exp', 'iat', 'iss', 'name', 'nonce', 'sub']
  assert.equal(typeof refresh_token, 'string')
  assert.deepEqual(Object.keys(decodeJwt(String(id_token))).sort(), claims)
})

test('OIDC-03 a claim that `claims` asks for comes without the scope that would have asked for it', async () => {
  const app = await ThirdParty.register(server, 'bank-app-claims', { firstParty: true })
  const namesIn = async (claims: string | undefined) => {
    const customer = new CustomerAtBrowser(server, ada)
    const request = { scope: 'openid accounts:read', ...(claims !== undefined && { claims }) }
    const { code } = responseOf(await customer.signIn(await customer.open(app, await pushed(app, request))))
    return 'name' in decodeJwt(String((await app.redeem(code ?? '')).json['id_token']))
  }
  assert.deepEqual([await namesIn('{"id_token":{"name":null}}'), await namesIn(undefined)], [true, false])
})

test('FAPI2-CR-06 RW-TOK-11 codes and tokens are long enough to guess in vain and short enough for a header', async () => {
  const { code, tokens } = await authorisedTokens(acorn, ada)
  assert.ok(code.length * 6 >= 128 && code.length <= 512)
  assert.ok(String(tokens.json['access_token']).length < 4_096)
})

test('BCP-06 nothing that opens anything is stored in clear', async () => {
  const { code, requestUri, tokens, customer } = await authorisedTokens(acorn, ada)
  const secrets = [
    code,
    requestUri.split(':').at(-1) ?? '',
    String(tokens.json['refresh_token']),
    customer.browser.cookie('__Host-bankside_session')?.value ?? '',
  ]
  for (const table of ['authorization_code', 'refresh_token', 'session', 'interaction', 'grant'])
    for (const secret of secrets) {
      const found = await server.owner.any(
        sql.unsafe`select 1 as found from oidc.${sql.identifier([table])} t where t::text like ${`%${secret}%`}`,
      )
      assert.equal(found.length, 0, table)
    }
})
