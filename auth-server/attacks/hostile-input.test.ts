import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { allowRegistration } from '@bankside/bank/clients/initial-access-token'
import { transact } from '@bankside/service-kit/postgres'
import { handleHash } from '../storage/handle-hash.ts'
import { lodgeAccounts } from '../testing/bank-fixtures.ts'
import { Browser } from '../testing/browser.ts'
import { type EveryProfile, registerEveryProfile } from '../testing/every-profile.ts'
import { exchange } from '../testing/exchange.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { intentClaim } from '../testing/third-party.ts'

/** Values of another type, shape or size than anybody expects: each is refused in the protocol's terms, and none is a fault of ours. */
let server: TestServer
let every: EveryProfile

before(async () => {
  server = await startTestServer({ settings: { RATE_LIMIT_CLIENT: '100000', RATE_LIMIT_ADDRESS: '100000', RATE_LIMIT_SIGN_IN: '100000' } })
  every = await registerEveryProfile(server)
})
after(() => server.stop())

/** Since it was asked the last time. */
const faults = () => server.logged.splice(0).filter((line) => line.includes('"msg":"fault"'))
const values: readonly unknown[] = [
  null,
  0,
  -1,
  1e308,
  true,
  [],
  {},
  ['x', 'y'],
  { value: 'x' },
  '',
  ' ',
  'x'.repeat(5_000),
  '\u0000',
  '\ud800',
  '__proto__',
  'constructor',
  '{"__proto__":{"x":1}}',
  '[null]',
  '[[]]',
  'null',
  '{"id_token":null}',
  '{"id_token":{"openbanking_intent_id":{"value":{}}}}',
  '{"id_token":{"acr":{"essential":true,"values":"x"}}}',
  '{"id_token":{"sub":{"value":{}}}}',
  '[{"type":"account_information","permissions":{"length":1}}]',
  '[{"type":"__proto__"}]',
  '[{"type":"payment_initiation","instructedAmount":null}]',
]
const names = [
  ...['response_type', 'response_mode', 'redirect_uri', 'scope', 'state', 'nonce', 'code_challenge', 'code_challenge_method', 'claims'],
  ...[
    'authorization_details',
    'acr_values',
    'max_age',
    'prompt',
    'display',
    'ui_locales',
    'id_token_hint',
    'login_hint',
    'resource',
    'dpop_jkt',
  ],
  ...['grant_id', 'grant_management_action', 'client_id', 'request_uri', 'request', 'iss', 'aud', 'exp', 'nbf', 'iat', 'jti', 'sub'],
]

test('hostile input: no value of any parameter, pushed plainly or signed, is a fault (PAR-05 JAR-01)', async () => {
  const answered: string[] = []
  for (const client of [every.fapi2_sp, every.fapi1_adv_hybrid]) {
    const claims = intentClaim(await lodgeAccounts(server, client.clientId))
    for (const name of names)
      await Promise.all(
        values.map(async (value) => {
          const isPlain = client.profile.requestObjects === 'refused'
          if (isPlain && typeof value !== 'string') return
          const { status } = isPlain
            ? await client.push({ claims, [name]: value as string })
            : await client.post('/par', { client_id: client.clientId, request: await client.requestObject({ claims, [name]: value }) })
          if (status >= 500) answered.push(`${client.clientId} ${name} ${JSON.stringify(value)?.slice(0, 60)} ${status}`)
        }),
      )
  }
  assert.deepEqual([answered, faults()], [[], []])
})

test('hostile input: no value of any member of a question from elsewhere is a fault (CIBA-04 PAR-05)', async () => {
  const more = [
    'binding_message',
    'login_hint_token',
    'client_notification_token',
    'requested_expiry',
    'user_code',
    'openbanking-intent-id',
  ]
  const { claims } = JSON.parse(`{"claims":${intentClaim(await lodgeAccounts(server, every.fapi_ciba.clientId))}}`) as { claims: object }
  for (const name of [...more, ...names])
    await Promise.all(
      values.map(async (value) => {
        const { status } = await every.fapi_ciba.ask({ login_hint: 'nobody-known', claims, [name]: value })
        assert.ok(status < 500, `${name} ${JSON.stringify(value)?.slice(0, 60)} ${status}`)
      }),
    )
  assert.deepEqual(faults(), [])
})

test('hostile input: no parameter, header or cookie at any other endpoint is a fault (PAR-05)', async () => {
  const texts = values.filter((value): value is string => typeof value === 'string')
  const client = every.fapi2_sp
  const forms = ['grant_type', 'code', 'refresh_token', 'auth_req_id', 'code_verifier', 'redirect_uri', 'scope', 'resource', 'token']
  for (const name of [...forms, 'authorization_details', 'client_id', 'client_assertion', 'client_assertion_type', 'token_type_hint'])
    for (const path of ['/token', '/revocation', '/introspection'] as const)
      await Promise.all(
        texts.map(async (text) => {
          const { status } = await client.post(path, { grant_type: 'authorization_code', code: 'x', token: 'x', [name]: text })
          assert.ok(status < 500, `${path} ${name} ${text.slice(0, 60)} ${status}`)
        }),
      )
  const headerTexts = [
    '',
    'x',
    'x.y.z',
    'a'.repeat(3_000),
    'eyJhbGciOiJub25lIn0.e30.',
    'DPoP x',
    'Bearer a.b.c',
    'Basic eDp5',
    'Basic %%%',
    '::',
    'null',
    '{}',
    '[]',
  ]
  for (const name of [
    'dpop',
    'authorization',
    'cookie',
    'client-cert',
    'x-forwarded-for',
    'accept',
    'origin',
    'x-fapi-interaction-id',
    'content-length-x',
  ])
    for (const value of headerTexts)
      for (const [path, form] of [
        ['/token', { grant_type: 'client_credentials' }],
        ['/userinfo', undefined],
        ['/grants/x', undefined],
        ['/connected-accounts', undefined],
        ['/session/end', undefined],
        ['/auth?client_id=x', undefined],
      ] as const) {
        const { status } = await exchange(server.issuer + path, { ca: server.ca, headers: { [name]: value }, ...(form && { form }) })
        assert.ok(status < 500, `${path} ${name} ${value} ${status}`)
      }
  const browser = new Browser(server)
  for (const cookie of [
    '__Host-bankside_session',
    '__Secure-bankside_interaction',
    '__Host-bankside_dashboard',
    '__Host-bankside_sign_in',
    '__Host-bankside_sign_out',
  ])
    for (const value of ['x', '.', 'x.y', 'x.y.z', '%00', '__proto__', 'a'.repeat(3_000)]) {
      browser.put({ name: cookie, value, path: '/' })
      for (const path of [
        '/connected-accounts',
        '/connected-accounts/requests',
        '/session/end',
        '/interaction/xxxxxxxxxxxxxxxxxxxxx',
        '/auth/xxxxxxxxxxxxxxxxxxxxx',
      ])
        assert.ok((await browser.get(path)).status < 500, `${path} ${cookie}=${value}`)
      const sent = await browser.post(
        '/connected-accounts/sign-in',
        new URLSearchParams({ page_token: value, username: value, password: value }),
      )
      assert.ok(sent.status < 500, `sign-in ${cookie}=${value}`)
    }
  assert.deepEqual(faults(), [])
})

test('hostile input: no value of any member of a logout or a registration is a fault (LOGOUT-01 DCR-05)', async () => {
  const texts = values.filter((value): value is string => typeof value === 'string')
  for (const name of ['id_token_hint', 'client_id', 'post_logout_redirect_uri', 'state', 'logout_hint', 'ui_locales'])
    for (const text of texts) {
      const query = new URLSearchParams({ client_id: every.fapi2_sp.clientId, [name]: text })
      const { status } = await new Browser(server).get(`/session/end?${query}`)
      assert.ok(status < 500, `${name} ${text.slice(0, 60)} ${status}`)
    }
  const token = randomBytes(32).toString('base64url')
  const [now, scopes] = [new Date(), ['openid', 'accounts']]
  const expiresAt = new Date(now.getTime() + 600_000)
  await transact(server.owner, (tx) =>
    allowRegistration(tx, { tokenHash: handleHash(token), note: 'x', scopes, uses: 9_999, expiresAt, now }),
  )
  const members = [
    'client_name',
    'redirect_uris',
    'grant_types',
    'response_types',
    'scope',
    'jwks',
    'jwks_uri',
    'fapi_profile',
    'application_type',
  ]
  const more = [
    'token_endpoint_auth_method',
    'tls_client_auth_san_ip',
    'backchannel_logout_uri',
    'post_logout_redirect_uris',
    'default_max_age',
  ]
  const valid = {
    client_name: 'x',
    redirect_uris: ['https://third-party.example/'],
    token_endpoint_auth_method: 'tls_client_auth',
    scope: 'openid',
  }
  for (const name of [...members, ...more, 'software_statement', 'id_token_signed_response_alg', 'request_uris', 'sector_identifier_uri'])
    await Promise.all(
      values.map(async (value) => {
        const { status } = await exchange(`${server.mtlsIssuer}/register`, {
          ca: server.ca,
          body: JSON.stringify({
            ...valid,
            tls_client_auth_subject_dn: 'CN=x',
            tls_client_certificate_bound_access_tokens: true,
            [name]: value,
          }),
          headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        })
        assert.ok(status < 500, `${name} ${JSON.stringify(value)?.slice(0, 60)} ${status}`)
      }),
    )
  assert.deepEqual(faults(), [])
})
