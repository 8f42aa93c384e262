import assert from 'node:assert/strict'
import { Agent } from 'node:https'
import { after, before, test } from 'node:test'
import { exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'

let server: TestServer
before(async () => {
  server = await startTestServer()
})
after(() => server.stop())

const paths = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']

function expected({ issuer, mtlsIssuer }: TestServer) {
  const algorithms = ['PS256', 'ES256', 'EdDSA', 'Ed25519']
  return {
    acr_values_supported: ['urn:openbanking:psd2:sca'],
    authorization_details_types_supported: ['openbanking_consent', 'account_information', 'payment_initiation'],
    authorization_endpoint: `${issuer}/auth`,
    authorization_response_iss_parameter_supported: true,
    authorization_signing_alg_values_supported: ['ES256', 'PS256', 'EdDSA'],
    backchannel_authentication_endpoint: `${issuer}/backchannel`,
    backchannel_authentication_request_signing_alg_values_supported: algorithms,
    backchannel_token_delivery_modes_supported: ['poll', 'ping'],
    backchannel_user_code_parameter_supported: false,
    backchannel_logout_session_supported: true,
    backchannel_logout_supported: true,
    claim_types_supported: ['normal'],
    end_session_endpoint: `${issuer}/session/end`,
    grant_management_action_required: false,
    grant_management_actions_supported: ['query', 'revoke', 'create', 'merge', 'replace'],
    grant_management_endpoint: `${issuer}/grants`,
    claims_parameter_supported: true,
    claims_supported: [
      ...['sub', 'iss', 'auth_time', 'sid', 'acr', 'amr', 'name', 'openbanking_intent_id'],
      'http://openbanking.org.uk/refresh_token_expires_at',
    ],
    code_challenge_methods_supported: ['S256'],
    dpop_signing_alg_values_supported: ['ES256', 'PS256', 'EdDSA', 'Ed25519'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials', 'urn:openid:params:grant-type:ciba'],
    id_token_signing_alg_values_supported: ['ES256', 'PS256', 'EdDSA'],
    introspection_endpoint: `${issuer}/introspection`,
    introspection_endpoint_auth_methods_supported: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
    introspection_endpoint_auth_signing_alg_values_supported: algorithms,
    introspection_signing_alg_values_supported: ['ES256', 'PS256', 'EdDSA'],
    issuer,
    jwks_uri: `${issuer}/jwks`,
    mtls_endpoint_aliases: {
      token_endpoint: `${mtlsIssuer}/token`,
      pushed_authorization_request_endpoint: `${mtlsIssuer}/par`,
      revocation_endpoint: `${mtlsIssuer}/revocation`,
      grant_management_endpoint: `${mtlsIssuer}/grants`,
      backchannel_authentication_endpoint: `${mtlsIssuer}/backchannel`,
      introspection_endpoint: `${mtlsIssuer}/introspection`,
      userinfo_endpoint: `${mtlsIssuer}/userinfo`,
      registration_endpoint: `${mtlsIssuer}/register`,
    },
    pushed_authorization_request_endpoint: `${issuer}/par`,
    registration_endpoint: `${mtlsIssuer}/register`,
    request_object_signing_alg_values_supported: algorithms,
    request_parameter_supported: true,
    request_uri_parameter_supported: false,
    response_modes_supported: ['query', 'jwt', 'query.jwt', 'fragment', 'fragment.jwt'],
    response_types_supported: ['code', 'code id_token'],
    revocation_endpoint: `${issuer}/revocation`,
    revocation_endpoint_auth_methods_supported: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
    revocation_endpoint_auth_signing_alg_values_supported: algorithms,
    scopes_supported: [
      ...['openid', 'accounts', 'payments', 'profile', 'accounts:read', 'transactions:read', 'payments:write'],
      ...['beneficiaries:read', 'beneficiaries:write', 'grant_management_query', 'grant_management_revoke'],
    ],
    subject_types_supported: ['pairwise', 'public'],
    tls_client_certificate_bound_access_tokens: true,
    token_endpoint: `${issuer}/token`,
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
    token_endpoint_auth_signing_alg_values_supported: algorithms,
    ui_locales_supported: ['en-GB'],
    userinfo_endpoint: `${issuer}/userinfo`,
    userinfo_signing_alg_values_supported: ['ES256', 'PS256', 'EdDSA'],
  }
}

for (const path of paths)
  test(`FAPI2-AS-01 FAPI2-AS-02 FAPI2-AS-06 OIDC-10 STEP-04 RAR-02 MTLS-04 PAR-08 JARM-05 FAPI2-MS-14 FAPI1B-08 UKDCR-18 DCR-001 the document at ${path} says exactly what is on`, async () => {
    const answer = await exchange(server.issuer + path, { ca: server.ca })
    assert.equal(answer.status, 200)
    assert.match(answer.headers['content-type'] ?? '', /^application\/json/)
    assert.match(answer.headers['cache-control'] ?? '', /max-age=\d+/)
    assert.deepEqual(answer.json, expected(server))
  })

test('FAPI2-AS-01 the document is the same on the mTLS listener', async () => {
  const answer = await exchange(server.mtlsIssuer + paths[0], { ca: server.ca })
  assert.deepEqual(answer.json, expected(server))
})

for (const path of [...paths, '/jwks'])
  test(`FAPI2-AS-01 ${path} is the same document, with the same headers, the first time and after`, async () => {
    const ask = (headers: Record<string, string> = {}) => exchange(server.issuer + path, { ca: server.ca, headers })
    const first = await ask({ origin: 'https://app.example' })
    const [second, third] = [await ask(), await ask()]
    const shown = ({ status, headers, text }: typeof second) => [status, { ...headers, date: '', 'x-fapi-interaction-id': '' }, text]
    assert.deepEqual(shown(third), shown(second))
    assert.equal(third.text, first.text)
    for (const header of ['content-security-policy', 'strict-transport-security', 'x-content-type-options'])
      assert.ok(third.headers[header])
    const interactionId = '2c1c7f9e-4b57-4c0a-9f0e-7d8a3a5c1b11'
    assert.equal((await ask({ 'x-fapi-interaction-id': interactionId })).headers['x-fapi-interaction-id'], interactionId)
    assert.match((await ask({ 'x-fapi-interaction-id': 'evil' })).headers['x-fapi-interaction-id'] ?? '', /^[0-9a-f-]{36}$/)
    assert.notEqual((await ask()).headers['x-fapi-interaction-id'], third.headers['x-fapi-interaction-id'])
  })

test('FAPI2-AS-01 a document that is ready is no way around the gate: other methods, other names, queries', async () => {
  const ask = (path: string, options: Partial<Parameters<typeof exchange>[1]> = {}) =>
    exchange(server.issuer + path, { ca: server.ca, ...options })
  for (const path of [...paths, '/jwks']) {
    await ask(path)
    assert.equal((await ask(path, { method: 'POST' })).status, 405)
    assert.equal((await ask(path, { method: 'HEAD' })).text, '')
    assert.equal((await ask(`${path}?x=1`)).status, 200)
    assert.equal((await ask(`${path}/`)).status, 404)
  }
  assert.equal((await ask('/.well-known/openid-configuration', { headers: { host: 'evil.example' } })).status, 421)
})

test('FAPI2-NET-08 what is ready is answered with the same headers on a kept connection, and the connection goes on', async () => {
  for (const url of [server.issuer, server.mtlsIssuer].flatMap((origin) => ['/jwks', ...paths].map((path) => origin + path))) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = (headers: Record<string, string> = {}, method = 'GET') => exchange(url, { ca: server.ca, method, headers, agent })
    const alone = await exchange(url, { ca: server.ca })
    const given = { 'x-fapi-interaction-id': '2c1c7f9e-4b57-4c0a-9f0e-7d8a3a5c1b11' }
    for (const headers of [{}, given]) {
      const answer = await ask(headers)
      const { date = '', connection, 'keep-alive': seconds, 'x-fapi-interaction-id': id = '', ...same } = answer.headers
      assert.deepEqual([answer.status, answer.text, connection, seconds], [200, alone.text, 'keep-alive', 'timeout=65'])
      assert.ok(Math.abs(Date.parse(date) - Date.now()) < 60_000, date)
      assert.match(id, headers === given ? new RegExp(given['x-fapi-interaction-id']) : /^[0-9a-f-]{36}$/)
      const { date: _, connection: __, 'x-fapi-interaction-id': ___, ...wanted } = alone.headers
      assert.deepEqual(same, wanted)
      assert.ok('strict-transport-security' in same && 'content-security-policy' in same)
    }
    assert.equal((await ask({}, 'DELETE')).status, 405)
    assert.deepEqual([(await ask()).text, Object.values(agent.freeSockets).flat().length], [alone.text, 1])
    assert.equal((await ask({ connection: 'close' })).headers['connection'], 'close')
    agent.destroy()
  }
})

test('FAPI2-AS-01 another host name is answered with nothing', async () => {
  for (const host of ['evil.example', new URL(server.mtlsIssuer).host, 'localhost']) {
    const answer = await exchange(server.issuer + paths[0], { ca: server.ca, headers: { host } })
    assert.equal(answer.status, 421)
    assert.equal(answer.json['issuer'], undefined)
  }
})

test('FAPI2-CR-07 the keys alone are served under any name: a resource server may know this one by another', async () => {
  const asked = (headers: Record<string, string>) => exchange(`${server.issuer}/jwks`, { ca: server.ca, headers })
  const [inside, outside] = [await asked({ host: 'auth-server:4430' }), await asked({})]
  assert.deepEqual([inside.status, inside.json], [200, outside.json])
})

test('FAPI2-NET-01 BCP-19 every address in the document is https', async () => {
  const { json } = await exchange(server.issuer + paths[0], { ca: server.ca })
  const addresses = JSON.stringify(json).match(/"[a-z]+:\/\/[^"]*"/g) ?? []
  assert.ok(addresses.length > 8)
  assert.deepEqual(
    addresses.filter((address) => !address.startsWith('"https://') && !address.startsWith('"http://openbanking.org.uk/')),
    [],
  )
})

test('FAPI2-CR-04 FAPI2-CR-07 the published keys are public, strong and told apart', async () => {
  const { json, headers } = await exchange(`${server.issuer}/jwks`, { ca: server.ca })
  const keys = json['keys'] as Record<string, string>[]
  assert.match(headers['content-type'] ?? '', /^application\/jwk-set\+json/)
  assert.equal(headers['cache-control'], 'public, max-age=300')
  assert.deepEqual(keys.map(({ alg }) => alg).sort(), ['ES256', 'EdDSA', 'PS256'])
  assert.equal(new Set(keys.map(({ kid }) => kid)).size, 3)
  for (const key of keys)
    assert.deepEqual(
      ['d', 'p', 'q', 'dp', 'dq', 'qi'].filter((member) => member in key),
      [],
    )
  assert.ok((keys.find(({ kty }) => kty === 'RSA')?.['n']?.length ?? 0) >= 342)
})

test('FAPI2-AS-06 endpoints that are not advertised are not there', async () => {
  for (const path of ['/me', '/reg', '/token/introspection', '/device/auth', '/session/end/success', '/challenge'])
    for (const method of ['GET', 'POST']) {
      const { status } = await exchange(server.issuer + path, { ca: server.ca, method })
      assert.equal(status, 404, `${method} ${path}`)
    }
})

test('BCP-19 the mTLS listener shows no page', async () => {
  for (const path of ['/auth', '/connected-accounts', '/session/end', '/interaction/aaaaaaaaaaaaaaaaaaaaaaaaa', '/assets/bankside.css']) {
    const { status } = await exchange(server.mtlsIssuer + path, { ca: server.ca })
    assert.equal(status, 404, path)
  }
})
