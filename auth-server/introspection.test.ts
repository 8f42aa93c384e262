import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setClientStatus } from '@bankside/bank/clients/set-client-status'
import { deleteConsent } from '@bankside/bank/consents/delete-consent'
import type { ConsentId } from '@bankside/bank/ids'
import { sql, transact } from '@bankside/service-kit/postgres'
import { decodeJwt, decodeProtectedHeader, importJWK, type JWTPayload, SignJWT } from 'jose'
import { authorisedTokens, refusal } from './testing/authorise.ts'
import { enterCustomer, type TestCustomer } from './testing/bank-fixtures.ts'
import type { Answer } from './testing/exchange.ts'
import { startTestServer, type TestServerInside } from './testing/test-server.ts'
import { ThirdParty } from './testing/third-party.ts'

let server: TestServerInside
let ada: TestCustomer
let acorn: ThirdParty
let cobalt: ThirdParty
let ukApi: ThirdParty
let bankApi: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
  cobalt = await ThirdParty.register(server, 'cobalt', { constraint: 'mtls', authentication: 'tls_client_auth' })
  ukApi = await ThirdParty.register(server, 'uk-api', { profile: 'resource_server', metadata: { audience: server.audiences.uk } })
  bankApi = await ThirdParty.register(server, 'bank-api', {
    ...{ profile: 'resource_server', authentication: 'tls_client_auth' },
    metadata: { audience: server.audiences.bank, introspection_signed_response_alg: 'ES256' },
  })
})
after(() => server.stop())

const signed = { accept: 'application/token-introspection+jwt' }
const introspect = (by: ThirdParty, token: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  by.post('/introspection', { token: String(token) }, { headers })
const tokenOf = async (thirdParty: ThirdParty) => {
  const authorised = await authorisedTokens(thirdParty, ada)
  return { ...authorised, token: String(authorised.tokens.json['access_token']) }
}

/** Nothing but that it is not: neither whose it was nor why. */
async function assertInactive(token: unknown, by = ukApi): Promise<void> {
  const answer = await introspect(by, token)
  assert.deepEqual([answer.status, answer.json], [200, { active: false }])
  const jwt = await introspect(by, token, signed)
  assert.deepEqual(decodeJwt(jwt.text)['token_introspection'], { active: false })
}

test('INT-01 INT-02 FAPI2-MS-10 MTLS-03 a resource server is told all that it needs of a token that is for it', async () => {
  for (const thirdParty of [acorn, cobalt]) {
    const { token, consentId } = await tokenOf(thirdParty)
    const claims = decodeJwt(token) as JWTPayload & { cnf: object; grant_id: string; auth_time: number }
    const { status, json, headers } = await introspect(ukApi, token)
    assert.equal(status, 200)
    assert.match(headers['cache-control'] ?? '', /no-store/)
    assert.match(headers['content-type'] ?? '', /^application\/json/)
    assert.deepEqual(json, {
      ...{ active: true, iss: server.issuer, aud: server.audiences.uk, client_id: thirdParty.clientId, scope: 'openid accounts' },
      ...{ sub: claims.sub, iat: claims.iat, exp: claims.exp, jti: claims.jti, cnf: claims.cnf },
      ...{ token_type: thirdParty === acorn ? 'DPoP' : 'Bearer', consent_id: consentId, grant_id: claims.grant_id },
      ...{ acr: 'urn:openbanking:psd2:sca', auth_time: claims.auth_time },
    })
  }
})

test('RAR-05 INT-02 authorization details are told as the token has them', async () => {
  const consent = await authorisedTokens(acorn, ada)
  assert.ok(consent.tokens.json['access_token'])
  const details = decodeJwt(String(consent.tokens.json['access_token']))['authorization_details']
  assert.deepEqual((await introspect(ukApi, consent.tokens.json['access_token'])).json['authorization_details'], details)
})

test('INT-02 AT-03 a token of a client for itself has that client as its subject', async () => {
  const { json } = await acorn.token({ grant_type: 'client_credentials', scope: 'accounts' })
  const told = (await introspect(ukApi, json['access_token'])).json
  assert.deepEqual([told['active'], told['client_id'], told['scope'], told['consent_id']], [true, 'acorn', 'accounts', undefined])
})

test('INT-03 FAPI2-MS-10 FAPI2-MS-11 the answer is a signed JWT where one is asked for', async () => {
  const { token } = await tokenOf(acorn)
  const answer = await introspect(ukApi, token, signed)
  assert.equal(answer.status, 200)
  assert.match(answer.headers['content-type'] ?? '', /^application\/token-introspection\+jwt/)
  const { typ, alg, kid } = decodeProtectedHeader(answer.text)
  assert.deepEqual([typ, alg, typeof kid], ['token-introspection+jwt', 'PS256', 'string'])
  const { iss, aud, iat, token_introspection, ...others } = decodeJwt(answer.text)
  assert.deepEqual([iss, aud, others], [server.issuer, 'uk-api', {}])
  assert.ok(Math.abs(Number(iat) - Date.now() / 1000) < 30)
  const told = token_introspection as Record<string, unknown>
  assert.deepEqual([told['active'], told['client_id'], told['aud']], [true, 'acorn', server.audiences.uk])
  assert.equal(decodeProtectedHeader((await introspect(bankApi, token, signed)).text).alg, 'ES256')
})

test('FAPI2-MS-13 INT-01 a third party that asks, about its own token or another’s, is told nothing', async () => {
  const { token, tokens } = await tokenOf(acorn)
  for (const by of [acorn, cobalt]) await assertInactive(token, by)
  await assertInactive(tokens.json['refresh_token'], acorn)
  await assertInactive(tokens.json['refresh_token'], ukApi)
})

test('INT-03 RAR-05 a resource server learns nothing of a token for another', async () => {
  await assertInactive((await tokenOf(acorn)).token, bankApi)
})

test('INT-01 FAPI2-MS-10 who does not authenticate as a resource server learns nothing', async () => {
  const { token } = await tokenOf(acorn)
  assert.equal(
    refusal(await ukApi.post('/introspection', { token, client_assertion: await acorn.assertion({ sub: 'uk-api' }) })),
    '401 invalid_client',
  )
  assert.equal(refusal(await bankApi.post('/introspection', { token }, { credential: acorn.credential })), '401 invalid_client')
  const bare = { token, client_id: 'uk-api', client_assertion: undefined, client_assertion_type: undefined }
  assert.equal(refusal(await ukApi.post('/introspection', bare)), '401 invalid_client')
  assert.equal(refusal(await ukApi.post('/introspection', {})), '400 invalid_request')
})

test('INT-01 AT-01 what is no token, altered, or a JWT of another kind is not active', async () => {
  const { token, tokens } = await tokenOf(acorn)
  const [header, , signature] = token.split('.')
  const payload = Buffer.from(JSON.stringify({ ...decodeJwt(token), scope: 'openid accounts payments' })).toString('base64url')
  const { kid } = decodeProtectedHeader(token)
  const forged = new SignJWT(decodeJwt(token))
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', ...(kid && { kid }) })
    .sign(acorn.signingKey)
  const bogus = [
    'nothing',
    'a.b.c',
    'a~b~c',
    `${header}.${payload}.${signature}`,
    token.replaceAll('.', '~').replace('~', '.'),
    tokens.json['id_token'],
    await acorn.assertion(),
    await forged,
    `${token}x`,
    `${'a'.repeat(9_000)}.b.c`,
  ]
  for (const wrong of bogus) await assertInactive(wrong)
})

test('INT-01 AT-02 an access token that has run out is not active', async () => {
  const { token } = await tokenOf(acorn)
  const jwk = server.signingKeys.find(({ kid }) => kid === decodeProtectedHeader(token).kid) ?? assert.fail('the key')
  const made = async (change: object) =>
    new SignJWT({ ...decodeJwt(token), ...change })
      .setProtectedHeader({ ...decodeProtectedHeader(token), alg: 'ES256' })
      .sign(await importJWK(jwk))
  assert.equal((await introspect(ukApi, await made({}))).json['active'], true)
  const now = Math.floor(Date.now() / 1000)
  await assertInactive(await made({ iat: now - 400, exp: now - 1 }))
  await assertInactive(await made({ iss: 'https://other.example' }))
  await assertInactive(await made({ client_id: 'cobalt' }))
  await assertInactive(await made({ consent_id: 'con_00000000000000000000000000000000' }))
})

test('INT-01 CON-12 a token is not active from the moment its consent, its grant or its client does not stand', async () => {
  const deleted = await tokenOf(acorn)
  await transact(server.owner, (tx) => deleteConsent(tx, { consentId: deleted.consentId as ConsentId, clientId: 'acorn', now: new Date() }))
  await assertInactive(deleted.token)

  const revoked = await tokenOf(acorn)
  assert.equal((await acorn.post('/revocation', { token: String(revoked.tokens.json['refresh_token']) })).status, 200)
  await assertInactive(revoked.token)

  const replayed = await tokenOf(acorn)
  assert.equal((await acorn.redeem(replayed.code)).status, 400)
  await assertInactive(replayed.token)

  const blocked = await tokenOf(acorn)
  const own = (await acorn.token({ grant_type: 'client_credentials', scope: 'accounts' })).json['access_token']
  const change = (status: 'blocked' | 'active') =>
    transact(server.owner, (tx) => setClientStatus(tx, { clientId: 'acorn', status, actor: 'test', now: new Date() }))
  await change('blocked')
  for (const token of [blocked.token, own]) await assertInactive(token)
  await change('active')
  assert.equal((await introspect(ukApi, blocked.token)).json['active'], true)
})

test('FAPI2-MS-13 a resource server gets no token and makes no authorization request', async () => {
  assert.equal(refusal(await ukApi.token({ grant_type: 'client_credentials', scope: 'accounts' })), '400 unauthorized_client')
  assert.equal((await ukApi.push({ response_type: 'code', redirect_uri: 'https://third-party.example/callback' })).status, 400)
})

test('CERT-08 INT-02 what the register has taken from an organisation, no token of its is for any more', async () => {
  const drake = await ThirdParty.register(server, 'drake')
  const { token } = await tokenOf(drake)
  const own = await drake.token({ grant_type: 'client_credentials', scope: 'accounts payments' })
  const register = (roles: readonly string[]) =>
    server.owner.query(sql.unsafe`update clients.client set licensed_roles = ${sql.array([...roles], 'text')} where client_id = 'drake'`)
  const scopeOf = async () => (await introspect(ukApi, own.json['access_token'])).json['scope']
  await register(['PSP_AI', 'PSP_PI'])
  assert.deepEqual([await scopeOf(), (await introspect(ukApi, token)).json['active']], ['accounts payments', true])
  await register(['PSP_PI'])
  assert.equal(await scopeOf(), 'payments')
  await assertInactive(token)
  await register([])
  await assertInactive(own.json['access_token'])
})
