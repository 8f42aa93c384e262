import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { allowRegistration } from '@bankside/bank/clients/initial-access-token'
import { setClientStatus } from '@bankside/bank/clients/set-client-status'
import { openDatabase, sql, transact } from '@bankside/service-kit/postgres'
import { type CryptoKey, exportJWK, generateKeyPair } from 'jose'
import { handleHash } from './storage/handle-hash.ts'
import { authorisedTokens, refusal } from './testing/authorise.ts'
import { enterCustomer } from './testing/bank-fixtures.ts'
import { type Answer, exchange } from './testing/exchange.ts'
import { startTestServer, type TestServerInside } from './testing/test-server.ts'
import { ThirdParty } from './testing/third-party.ts'

let server: TestServerInside
let keys: { publicKey: CryptoKey; privateKey: CryptoKey }
const redirectUri = 'https://third-party.example/callback?kept=yes'

before(async () => {
  server = await startTestServer({ settings: { RATE_LIMIT_SIGN_IN: '1000' } })
  keys = await generateKeyPair('ES256', { extractable: true })
})
after(() => server.stop())

type Json = Readonly<Record<string, unknown>>

async function allowed({ uses = 1, scopes = ['openid', 'accounts', 'payments'], forMs = 60_000 } = {}): Promise<string> {
  const token = randomBytes(32).toString('base64url')
  const now = new Date()
  await transact(server.owner, (tx) =>
    allowRegistration(tx, { tokenHash: handleHash(token), note: 'a test', scopes, uses, expiresAt: new Date(now.getTime() + forMs), now }),
  )
  return token
}

const metadata = async (changes: Json = {}): Promise<Json> => ({
  client_name: 'A program',
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  token_endpoint_auth_method: 'private_key_jwt',
  dpop_bound_access_tokens: true,
  scope: 'openid accounts',
  jwks: { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'first', use: 'sig', alg: 'ES256' }] },
  ...changes,
})

const send = (method: string, path: string, token: string | undefined, json?: unknown): Promise<Answer> =>
  exchange(server.mtlsIssuer + path, {
    ca: server.ca,
    method,
    body: json === undefined ? undefined : typeof json === 'string' ? json : JSON.stringify(json),
    headers: {
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
  })

async function registered(changes: Json = {}) {
  const answer = await send('POST', '/register', await allowed(), await metadata(changes))
  assert.equal(answer.status, 201, answer.text)
  const { client_id, registration_access_token } = answer.json
  return { answer, clientId: String(client_id), token: String(registration_access_token) }
}

const clients = async () => Number(await server.owner.oneFirst(sql.unsafe`select count(*) from clients.client`))

test('DCR-01 DCR-05 who has a token of the bank registers, is told everything that is registered, and how to manage it', async () => {
  const { answer, clientId } = await registered()
  const { registration_access_token: token, client_id_issued_at: issuedAt, jwks, ...json } = answer.json
  assert.match(String(token), /^[A-Za-z0-9_-]{43}$/)
  assert.ok(Math.abs(Number(issuedAt) - Date.now() / 1000) < 60)
  assert.ok(Array.isArray((jwks as { keys: unknown[] }).keys))
  assert.match(answer.headers['cache-control'] ?? '', /no-store/)
  assert.deepEqual(json, {
    client_id: clientId,
    registration_client_uri: `${server.mtlsIssuer}/register/${clientId}`,
    client_name: 'A program',
    fapi_profile: 'fapi2_sp',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: ['code'],
    token_endpoint_auth_method: 'private_key_jwt',
    dpop_bound_access_tokens: true,
    require_pushed_authorization_requests: true,
    id_token_signed_response_alg: 'PS256',
    scope: 'openid accounts',
  })
})

test('DCR-01 the token to register with is kept as a hash, and so is the one to manage with', async () => {
  const initial = await allowed()
  const answer = await send('POST', '/register', initial, await metadata())
  const stored = JSON.stringify([
    await server.owner.any(sql.unsafe`select * from clients.registration`),
    await server.owner.any(sql.unsafe`select * from clients.initial_access_token`),
    await server.owner.any(sql.unsafe`select * from clients.client`),
  ])
  for (const secret of [initial, String(answer.json['registration_access_token'])]) assert.ok(!stored.includes(secret))
})

test('DCR-05 a client that registered itself reads its customer’s accounts like any other', async () => {
  const { clientId } = await registered()
  const proofKey = await generateKeyPair('ES256', { extractable: true })
  const credential = await server.issueCertificate('Program')
  const client = ThirdParty.registered(server, clientId, { constraint: 'dpop' }, { credential, signingKey: keys.privateKey, proofKey })
  const { tokens } = await authorisedTokens(client, await enterCustomer(server, 'dora'))
  assert.equal(tokens.status, 200, tokens.text)
})

test('DCR-05 registering needs a token of the bank that is known, current and not used up', async () => {
  const before = await clients()
  const used = await allowed()
  await send('POST', '/register', used, await metadata())
  const tokens = [undefined, 'x', randomBytes(32).toString('base64url'), used, await allowed({ forMs: -1 })]
  for (const token of tokens) assert.equal(refusal(await send('POST', '/register', token, await metadata())), '401 invalid_token')
  assert.equal(await clients(), before + 1)
})

test('DCR-05 eight that use one token at once: one registers', async () => {
  const token = await allowed()
  const body = await metadata()
  const answers = await Promise.all(Array.from({ length: 8 }, () => send('POST', '/register', token, body)))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array.from({ length: 7 }, () => 401)])
})

test('DCR-05 a token for three serves three, and what was refused costs none', async () => {
  const token = await allowed({ uses: 3 })
  assert.equal((await send('POST', '/register', token, await metadata({ response_types: ['token'] }))).status, 400)
  const statuses = []
  for (let round = 0; round < 4; round++) statuses.push((await send('POST', '/register', token, await metadata())).status)
  assert.deepEqual(statuses, [201, 201, 201, 401])
})

const invalid = '400 invalid_client_metadata'
const bad: readonly (readonly [string, Json, string])[] = [
  ['FAPI2-AS-03 a public client', { token_endpoint_auth_method: 'none' }, invalid],
  ['FAPI2-AS-06 a secret', { token_endpoint_auth_method: 'client_secret_basic' }, invalid],
  ['FAPI2-AS-06 no way to authenticate', { token_endpoint_auth_method: undefined }, invalid],
  ['DCR-04 the implicit flow', { response_types: ['token'], grant_types: ['implicit'] }, invalid],
  [
    'DCR-04 a response without its grant',
    { response_types: ['code id_token'], grant_types: ['client_credentials'], fapi_profile: 'fapi2_sp' },
    invalid,
  ],
  ['DCR-02 a redirect without TLS', { redirect_uris: ['http://third-party.example/'] }, '400 invalid_redirect_uri'],
  ['DCR-02 a redirect to localhost', { redirect_uris: ['https://localhost/callback'] }, '400 invalid_redirect_uri'],
  ['DCR-02 a redirect to localhost with a dot', { redirect_uris: ['https://localhost./callback'] }, '400 invalid_redirect_uri'],
  ['DCR-02 a redirect to a loopback address', { redirect_uris: ['https://127.0.0.1/callback'] }, '400 invalid_redirect_uri'],
  ['DCR-02 a redirect with a fragment', { redirect_uris: ['https://third-party.example/#x'] }, '400 invalid_redirect_uri'],
  ['DCR-02 DCR-03 a statement that comes unsigned', { software_statement: 'x.y.z' }, '400 invalid_software_statement'],
  ['DCR-03 a scope that the token is not for', { scope: 'openid accounts payments:write' }, invalid],
  ['DCR-02 no name', { client_name: undefined }, invalid],
  ['CX-01 a name that hides what it is', { client_name: 'Acorn\u202e' }, invalid],
  ['DCR-02 types that are others', { redirect_uris: { 0: redirectUri } }, invalid],
  ['DCR-06 keys in the bank’s network', { jwks: undefined, jwks_uri: 'https://169.254.169.254/jwks' }, invalid],
  ['DCR-06 keys at an address without TLS', { jwks: undefined, jwks_uri: 'http://third-party.example/jwks' }, invalid],
  ['DCR-06 a sector that would have to be fetched', { sector_identifier_uri: 'https://10.0.0.1/' }, invalid],
  ['FAPI2-CR-01 a symmetric key', { jwks: { keys: [{ kty: 'oct', k: 'x' }] } }, invalid],
  ['FAPI2-CR-01 a private key', { jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'z' }] } }, invalid],
  [
    'MTLS-01 two names for one certificate',
    { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=a', tls_client_auth_san_dns: 'a' },
    invalid,
  ],
  ['DCR-02 a server of the bank’s own', { fapi_profile: 'resource_server' }, invalid],
]
for (const [what, changes, expected] of bad)
  test(`${what} is not registered`, async () => {
    const before = await clients()
    const answer = await send('POST', '/register', await allowed(), await metadata(changes))
    assert.equal(refusal(answer), expected, answer.text)
    assert.equal(await clients(), before)
  })

for (const body of ['', '{', '[]', 'null', '"x"', '1'])
  test(`DCR-02 a body ${JSON.stringify(body)} is no registration`, async () =>
    assert.equal(refusal(await send('POST', '/register', await allowed(), body)), invalid))

test('DCR-07 a logo is neither registered nor shown: whoever shows it would tell where a customer is', async () => {
  const { answer } = await registered({ logo_uri: 'https://tracker.example/logo.png', favourite_colour: 'blue' })
  assert.deepEqual([answer.json['logo_uri'], answer.json['favourite_colour']], [undefined, undefined])
})

test('DCR-05 a client reads, replaces and ends its registration; what is left out is gone', async () => {
  const { clientId, token, answer } = await registered({ client_uri: 'https://third-party.example/' })
  const path = `/register/${clientId}`
  const read = await send('GET', path, token)
  assert.deepEqual([read.status, read.json], [200, answer.json])
  const replaced = await send('PUT', path, token, await metadata({ client_id: clientId, client_name: 'Renamed' }))
  assert.equal(replaced.status, 200, replaced.text)
  assert.deepEqual(
    [replaced.json['client_name'], replaced.json['client_uri'], replaced.json['client_id']],
    ['Renamed', undefined, clientId],
  )
  assert.equal((await send('DELETE', path, token)).status, 204)
  for (const method of ['GET', 'DELETE']) assert.equal(refusal(await send(method, path, token)), '401 invalid_token')
})

test('DCR-05 a registration is managed with its own token only, and replaced as the standard says', async () => {
  const [one, other] = [await registered(), await registered()]
  const initial = await allowed()
  for (const token of [undefined, other.token, initial, 'x', `${one.token}x`])
    for (const method of ['GET', 'PUT', 'DELETE'])
      assert.equal(
        refusal(
          await send(
            method,
            `/register/${one.clientId}`,
            token,
            method === 'PUT' ? await metadata({ client_id: one.clientId }) : undefined,
          ),
        ),
        '401 invalid_token',
        `${method} ${token}`,
      )
  const refused: Json[] = [
    {},
    { client_id: other.clientId },
    { client_id: one.clientId, registration_access_token: one.token },
    { client_id: one.clientId, client_secret: 'x' },
    { client_id: one.clientId, scope: 'openid payments:write' },
    { client_id: one.clientId, fapi_profile: 'fapi1_adv_jarm' },
    { client_id: one.clientId, response_types: ['code id_token'] },
  ]
  for (const changes of refused)
    assert.equal(
      refusal(await send('PUT', `/register/${one.clientId}`, one.token, await metadata(changes))),
      invalid,
      JSON.stringify(changes),
    )
  assert.equal((await send('GET', `/register/${one.clientId}`, one.token)).json['client_name'], 'A program')
})

test('DCR-05 a client cannot come to more by replacing its registration than its first token was for', async () => {
  const initial = await allowed({ scopes: ['openid', 'accounts'] })
  const answer = await send('POST', '/register', initial, await metadata())
  const { client_id: clientId, registration_access_token: token } = answer.json
  const wider = await send(
    'PUT',
    `/register/${clientId}`,
    String(token),
    await metadata({ client_id: clientId, scope: 'openid accounts payments' }),
  )
  assert.equal(refusal(wider), invalid)
})

test('DCR-05 a client that the bank has blocked does not manage, and does not unblock itself', async () => {
  const { clientId, token } = await registered()
  await transact(server.owner, (tx) => setClientStatus(tx, { clientId, status: 'blocked', actor: 'test', now: new Date() }))
  const body = await metadata({ client_id: clientId })
  for (const [method, json] of [['GET'], ['PUT', body], ['DELETE']] as const)
    assert.equal(refusal(await send(method, `/register/${clientId}`, token, json)), '401 invalid_token', method)
  assert.equal(await server.owner.oneFirst(sql.unsafe`select status from clients.client where client_id = ${clientId}`), 'blocked')
})

test('DCR-05 the database itself lets the authorization server touch third parties that registered, and nobody else', async () => {
  await ThirdParty.register(server, 'bank-made', { firstParty: true })
  const role = await openDatabase(server.authServerUrl, { maxConnections: 1 })
  try {
    for (const statement of [
      sql.unsafe`update clients.client set status = 'active' where client_id = 'bank-made'`,
      sql.unsafe`insert into clients.client select 'evil', profile, name, true, metadata, 'active', now(), now() from clients.client limit 1`,
      sql.unsafe`delete from clients.client`,
      sql.unsafe`insert into clients.initial_access_token values ('x', 'x', '{}', 1, now(), now())`,
    ])
      await assert.rejects(role.query(statement))
    const { changed } = (await role.one(sql.unsafe`select clients.change_third_party('bank-made', 'x', '{}', now()) as changed`)) as {
      changed: boolean
    }
    const { ended } = (await role.one(sql.unsafe`select clients.end_third_party('bank-made', now()) as ended`)) as { ended: boolean }
    assert.deepEqual([changed, ended], [false, false])
  } finally {
    await role.end()
  }
})
