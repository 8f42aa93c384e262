import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { decodeJwt, exportJWK, generateKeyPair } from 'jose'
import { Applicant, ownToken } from './testing/applicant.ts'
import { authoriseAccounts, authorisedTokens, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts } from './testing/bank-fixtures.ts'
import { exchange } from './testing/exchange.ts'
import { assertOfficialRegistration, registrationDefinitionMissing } from './testing/official-registration.ts'
import { TestDirectory } from './testing/test-directory.ts'
import { startTestServer, type TestServerInside } from './testing/test-server.ts'
import { intentClaim } from './testing/third-party.ts'

let server: TestServerInside
let directory: TestDirectory

before(async () => {
  server = await startTestServer({
    settings: async (authority) => {
      directory = await TestDirectory.start(authority)
      return directory.settings()
    },
  })
})
after(async () => {
  await server.stop()
  directory.stop()
})

const enrol = (name: string, enrolment?: Parameters<typeof Applicant.enrol>[3]) => Applicant.enrol(server, directory, name, enrolment)

async function registered(name: string, claims: Readonly<Record<string, unknown>> = {}) {
  const applicant = await enrol(name)
  const answer = await applicant.register({ claims })
  assert.equal(answer.status, 201, answer.text)
  return { applicant, answer, clientId: String(answer.json['client_id']) }
}

test('DCR-001 UKDCR-18 both discovery documents name where to register', async () => {
  const { json } = await exchange(`${server.issuer}/.well-known/openid-configuration`, { ca: server.ca })
  assert.equal(json['registration_endpoint'], `${server.mtlsIssuer}/register`)
  assert.equal((json['mtls_endpoint_aliases'] as Record<string, string>)['registration_endpoint'], `${server.mtlsIssuer}/register`)
})

test('DCR-002 UKDCR-01 UKDCR-13 DCR-01 SSA-01 CERT-12 a signed request with a statement is answered with everything that is registered', async (t) => {
  const { applicant, answer, clientId } = await registered('Acorn')
  assert.match(clientId, /^.{1,36}$/)
  assert.match(answer.headers['cache-control'] ?? '', /no-store/)
  assert.ok(Math.abs(Number(answer.json['client_id_issued_at']) - Date.now() / 1000) < 60)
  const { client_secret, organisation, ...json } = answer.json
  assert.deepEqual([client_secret, organisation], [undefined, undefined])
  const asked = {
    iss: applicant.software.softwareId,
    aud: 'BanksideSandbox',
    redirect_uris: applicant.software.redirectUris,
    scope: 'openid accounts payments',
    response_types: ['code'],
    application_type: 'web',
    request_object_signing_alg: 'PS256',
    client_name: 'Acorn',
    fapi_profile: 'fapi2_sp',
    tls_client_certificate_bound_access_tokens: true,
    require_pushed_authorization_requests: true,
    jwks_uri: `${directory.origin}/software/${applicant.software.softwareId}/jwks`,
  }
  assert.deepEqual({ ...json, ...asked }, json)
  if (registrationDefinitionMissing !== undefined) return t.skip(registrationDefinitionMissing)
  assertOfficialRegistration('OBClientRegistration1', json)
})

test('UKDCR-01 the media type application/jose is as good', async () => {
  const acorn = await enrol('Jose')
  assert.equal((await acorn.register({ contentType: 'application/jose' })).status, 201)
})

test('UKDCR-01 a request signed with ES256 is accepted by policy', async () => {
  const acorn = await enrol('Elliptic')
  const keys = await generateKeyPair('ES256', { extractable: true })
  directory.publishKeys(acorn.software, [{ ...(await exportJWK(keys.publicKey)), kid: 'first', use: 'sig' }])
  const answer = await acorn.register({
    key: keys.privateKey,
    header: { alg: 'ES256' },
    claims: { token_endpoint_auth_signing_alg: 'ES256' },
  })
  assert.equal(answer.status, 201, answer.text)
})

test('UKDCR-06 UKDCR-08 response_types that are not said are “code id_token”, and mobile is what it was called', async () => {
  const { answer } = await registered('Hybrid', { response_types: undefined, application_type: 'mobile' })
  const { response_types, fapi_profile, application_type, require_signed_request_object } = answer.json
  assert.deepEqual(
    [response_types, fapi_profile, application_type, require_signed_request_object],
    [['code id_token'], 'fapi1_adv_hybrid', 'mobile', true],
  )
})

const profiles = [
  ['fapi2_sp', {}],
  ['fapi2_ms', { require_signed_request_object: true, authorization_signed_response_alg: 'PS256' }],
  ['fapi1_adv_hybrid', { response_types: ['code id_token'] }],
  ['fapi1_adv_jarm', { fapi_profile: 'fapi1_adv_jarm' }],
] as const
for (const [profile, claims] of profiles)
  test(`UKDCR-06 what a request asks for makes its client one of ${profile}`, async () => {
    const { answer, applicant, clientId } = await registered(profile.replace(/\W|_/g, ''), claims)
    assert.equal(answer.json['fapi_profile'], profile)
    const client = await applicant.asClient(clientId, { profile })
    assert.equal((await client.token({ grant_type: 'client_credentials', scope: 'accounts' })).status, 200)
  })

test('UKDCR-11 a client of CIBA registers to poll or to be pinged, in the UK’s words, and has no redirects', async (t) => {
  for (const delivery of ['poll', 'ping']) {
    const { answer, applicant, clientId } = await registered(`Ciba${delivery}`, {
      grant_types: ['urn:openid:params:grant-type:ciba', 'client_credentials'],
      response_types: undefined,
      backchannel_token_delivery_mode: delivery,
      ...(delivery === 'ping' && { backchannel_client_notification_endpoint: 'https://third-party.example/ping' }),
      backchannel_authentication_request_signing_alg: 'PS256',
      backchannel_user_code_parameter_supported: false,
    })
    const { fapi_profile, redirect_uris, response_types, backchannel_user_code_parameter_supported } = answer.json
    assert.deepEqual([fapi_profile, redirect_uris, response_types, backchannel_user_code_parameter_supported], ['fapi_ciba', [], [], false])
    const client = await applicant.asClient(clientId, { profile: 'fapi_ciba' })
    assert.equal((await client.token({ grant_type: 'client_credentials', scope: 'accounts' })).status, 200)
    if (registrationDefinitionMissing !== undefined) return t.skip(registrationDefinitionMissing)
    assertOfficialRegistration('OBClientRegistration1', answer.json)
  }
})

test('UKDCR-10 MTLS-01 a client that is known by its certificate registers the subject that it holds, and gets its tokens with it', async () => {
  const applicant = await enrol('Cobalt')
  const claims = {
    token_endpoint_auth_method: 'tls_client_auth',
    token_endpoint_auth_signing_alg: undefined,
    tls_client_auth_subject_dn: applicant.subject,
  }
  const answer = await applicant.register({ claims })
  assert.equal(answer.status, 201, answer.text)
  const client = await applicant.asClient(answer.json['client_id'], { authentication: 'tls_client_auth' })
  assert.equal((await client.token({ grant_type: 'client_credentials', scope: 'payments' })).status, 200)
})

test('CX-01 CX-02 customers are shown the trading name, and for whom it acts', async () => {
  for (const [scope, shown] of [
    ['openid accounts payments', 'Dunmore on behalf of Little Shop'],
    ['openid payments', 'Little Shop via Dunmore'],
  ] as const) {
    const dunmore = await enrol('Dunmore')
    const software_statement = await directory.statement(dunmore.software, { claims: { software_on_behalf_of_org: 'Little Shop' } })
    const answer = await dunmore.register({ claims: { software_statement, scope } })
    assert.equal(answer.json['client_name'], shown, answer.text)
  }
})

test('DCR-005 UKDCR-15 a client reads what it registered, with a token of its own that has no scope', async (t) => {
  const { applicant, answer, clientId } = await registered('Reader')
  const read = await applicant.manage('GET', clientId)
  assert.equal(read.status, 200)
  assert.deepEqual(read.json, answer.json)
  assert.match(read.headers['cache-control'] ?? '', /no-store/)
  if (registrationDefinitionMissing !== undefined) return t.skip(registrationDefinitionMissing)
  assertOfficialRegistration('OBClientRegistration1', read.json)
})

test('DCR-008 UKDCR-16 a client changes what it registered; tokens it has go on', async () => {
  const { applicant, clientId } = await registered('Changer')
  const client = await applicant.asClient(clientId)
  const customer = await enterCustomer(server, 'changer')
  const { tokens } = await authorisedTokens(client, customer)
  assert.equal(tokens.status, 200, tokens.text)
  const token = await ownToken(client)
  const changed = await applicant.manage('PUT', clientId, {
    token,
    body: await applicant.request({ claims: { scope: 'openid accounts', client_id: clientId } }),
  })
  assert.equal(changed.status, 200, changed.text)
  assert.deepEqual([changed.json['scope'], changed.json['client_id']], ['openid accounts', clientId])
  assert.equal((await applicant.manage('GET', clientId, { token })).status, 200)
  assert.equal((await client.refresh(String(tokens.json['refresh_token']))).status, 200)
  assert.equal(refusal(await client.token({ grant_type: 'client_credentials', scope: 'payments' })), '400 invalid_scope')
})

test('DCR-003 UKDCR-17 who deletes itself loses tokens, grants and registration; its software may register anew', async () => {
  const { applicant, clientId } = await registered('Leaver')
  const client = await applicant.asClient(clientId)
  const { tokens, code } = await authorisedTokens(client, await enterCustomer(server, 'leaver'))
  const token = await ownToken(client)
  assert.equal((await applicant.manage('DELETE', clientId, { token })).status, 204)
  assert.equal(refusal(await applicant.manage('GET', clientId, { token })), '401 invalid_token')
  assert.equal(refusal(await applicant.manage('DELETE', clientId, { token })), '401 invalid_token')
  assert.equal(refusal(await client.refresh(String(tokens.json['refresh_token']))), '401 invalid_client')
  assert.equal(refusal(await client.redeem(code)), '401 invalid_client')
  assert.equal(refusal(await client.token({ grant_type: 'client_credentials' })), '401 invalid_client')
  const left = await server.owner.any(sql.unsafe`
    select grant_id from oidc.grant where client_id = ${clientId} and revoked_at is null union all
    select grant_id from oidc.refresh_token where grant_id in (select grant_id from oidc.grant where client_id = ${clientId})`)
  assert.deepEqual(left, [])
  const again = await applicant.register()
  assert.equal(again.status, 201, again.text)
  assert.notEqual(again.json['client_id'], clientId)
})

test('DCR-009 DCR-007 UKDCR-15 another’s id and one that nobody has are answered alike, and cost the token', async () => {
  const [one, other] = [await registered('Nosy'), await registered('Victim')]
  const client = await one.applicant.asClient(one.clientId)
  for (const method of ['GET', 'PUT', 'DELETE'])
    for (const wrong of [other.clientId, '00000000-0000-4000-8000-000000000000', 'x']) {
      const token = await ownToken(client)
      const body = method === 'PUT' ? await one.applicant.request() : undefined
      const answer = await one.applicant.manage(method, wrong, { token, ...(body && { body }) })
      assert.equal(refusal(answer), '401 invalid_token', `${method} ${wrong}`)
      assert.equal(refusal(await one.applicant.manage('GET', one.clientId, { token })), '401 invalid_token', 'the token goes on')
    }
  assert.equal((await other.applicant.manage('GET', other.clientId)).status, 200)
})

test('DCR-006 UKDCR-15 a registration is not managed without a token, with a customer’s, over another certificate, or by a forged one', async () => {
  const { applicant, clientId } = await registered('Guarded')
  const other = await enrol('Stranger')
  const client = await applicant.asClient(clientId)
  const { tokens } = await authorisedTokens(client, await enterCustomer(server, 'guarded'))
  const token = await ownToken(client)
  const [header, , signature] = token.split('.')
  const forged = [header, Buffer.from(JSON.stringify({ client_id: clientId })).toString('base64url'), signature].join('.')
  const path = `/register/${clientId}`
  const attempts = {
    'no token': applicant.send('GET', path, undefined),
    'a customer’s token': applicant.manage('GET', clientId, { token: String(tokens.json['access_token']) }),
    'a forged token': applicant.manage('GET', clientId, { token: forged }),
    'an unsigned token': applicant.manage('GET', clientId, {
      token: `${Buffer.from('{"alg":"none"}').toString('base64url')}.${token.split('.')[1]}.`,
    }),
    'another’s certificate': applicant.send('GET', path, undefined, { credential: other.credential }, { authorization: `Bearer ${token}` }),
    'the DPoP scheme': applicant.send('GET', path, undefined, {}, { authorization: `DPoP ${token}` }),
    basic: applicant.send('GET', path, undefined, {}, { authorization: `Basic ${token}` }),
  }
  for (const [how, attempt] of Object.entries(attempts)) assert.equal(refusal(await attempt), '401 invalid_token', how)
  const bare = await applicant.send('GET', path, undefined, { credential: undefined }, { authorization: `Bearer ${token}` })
  assert.equal(refusal(bare), '401 invalid_client', 'no certificate')
  assert.equal((await applicant.manage('GET', clientId, { token })).status, 200)
})

test('UKDCR-15 a token that is bound to a key is presented with a proof for this request, once', async () => {
  const { applicant, clientId } = await registered('Prover', {
    dpop_bound_access_tokens: true,
    tls_client_certificate_bound_access_tokens: undefined,
  })
  const client = await applicant.asClient(clientId, { constraint: 'dpop' })
  const token = await ownToken(client)
  const ath = createHash('sha256').update(token).digest('base64url')
  const url = `${server.mtlsIssuer}/register/${clientId}`
  const read = (dpop: string, scheme = 'DPoP') =>
    applicant.send('GET', `/register/${clientId}`, undefined, {}, { authorization: `${scheme} ${token}`, dpop })
  const proof = await client.proof(url, { htm: 'GET', ath })
  assert.equal((await read(proof)).status, 200)
  const bad = [
    proof,
    await client.proof(url, { htm: 'POST', ath }),
    await client.proof(url, { htm: 'GET' }),
    await client.proof(`${url}x`, { htm: 'GET', ath }),
    await client.proof(url, { htm: 'GET', ath, iat: Math.floor(Date.now() / 1000) - 120 }),
    'x',
  ]
  for (const [index, one] of bad.entries()) assert.equal(refusal(await read(one)), '401 invalid_token', String(index))
  assert.equal(refusal(await read(await client.proof(url, { htm: 'GET', ath }), 'Bearer')), '401 invalid_token')
})

test('UKDCR-16 PUT is checked as POST is, and does not make a client another one', async () => {
  const { applicant, clientId } = await registered('Fixed')
  const other = await enrol('Otherfixed')
  const old = Math.floor(Date.now() / 1000) - 10_000
  const refused: [string, Readonly<Record<string, unknown>>, string][] = [
    ['a wider redirect', { redirect_uris: ['https://evil.example/'] }, '400 invalid_redirect_uri'],
    ['another profile', { response_types: ['code id_token'] }, '400 invalid_client_metadata'],
    ['a profile by its name', { fapi_profile: 'fapi1_adv_jarm' }, '400 invalid_client_metadata'],
    ['another client', { client_id: 'someone-else' }, '400 invalid_client_metadata'],
    [
      'an old statement',
      { software_statement: await directory.statement(applicant.software, { claims: { iat: old } }) },
      '400 invalid_software_statement',
    ],
    ['a secret', { client_secret: 'x' }, '400 invalid_client_metadata'],
    ['a scope without a role', { scope: 'openid fundsconfirmations' }, '400 invalid_client_metadata'],
  ]
  for (const [what, claims, expected] of refused)
    assert.equal(refusal(await applicant.manage('PUT', clientId, { body: await applicant.request({ claims }) })), expected, what)
  const otherSoftware = await applicant.manage('PUT', clientId, { body: await other.request() })
  assert.equal(refusal(otherSoftware), '400 invalid_software_statement')
  const read = await applicant.manage('GET', clientId)
  assert.deepEqual([read.json['redirect_uris'], read.json['fapi_profile']], [applicant.software.redirectUris, 'fapi2_sp'])
})

test('SSA-05 eight requests for one software at once make one client', async () => {
  const racer = await enrol('Racer')
  const answers = await Promise.all(Array.from({ length: 8 }, () => racer.register()))
  const outcomes = answers.map(({ status }) => status).sort()
  assert.deepEqual(outcomes, [201, ...Array.from({ length: 7 }, () => 400)])
  assert.ok(answers.every(({ status, json }) => status === 201 || json['error'] === 'invalid_client_metadata'))
})

test('UKDCR-17 of a change and an end at once, the end stays', async () => {
  const { applicant, clientId } = await registered('Torn')
  const client = await applicant.asClient(clientId)
  const tokens = await Promise.all([1, 2, 3, 4].map(() => ownToken(client)))
  const bodies = await Promise.all([1, 2, 3].map(() => applicant.request()))
  await Promise.all([
    applicant.manage('DELETE', clientId, { token: tokens[3] ?? '' }),
    ...bodies.map((body, index) => applicant.manage('PUT', clientId, { token: tokens[index] ?? '', body })),
  ])
  const { status } = (await server.owner.one(sql.unsafe`select status from clients.client where client_id = ${clientId}`)) as {
    status: string
  }
  assert.equal(status, 'deleted')
})

test('CERT-13 who registered is on record, with the certificate and the roles', async () => {
  const { clientId, applicant } = await registered('Recorded')
  const { details } = (await server.owner.one(sql.unsafe`
    select details from audit.record where action = 'client.registered' and subject = ${clientId}`)) as { details: Record<string, unknown> }
  const { certificate } = details as { certificate: Record<string, unknown> }
  assert.equal(certificate['organisation'], applicant.software.organisation.identifier)
  assert.deepEqual([...(certificate['roles'] as string[])].sort(), ['PSP_AI', 'PSP_PI'])
  assert.ok(certificate['serialNumber'])
})

test('OIDC-08 DCR-02 UKDCR-04 a software is redirected to several hosts: a customer is the same to it at each, and another to another software', async () => {
  const hosts = ['https://acorn.example/callback', 'https://app.acorn.example/callback', 'https://acorn-payments.example/done']
  const subjects: unknown[] = []
  const customer = await enterCustomer(server, 'several')
  for (const name of ['Several', 'Other']) {
    const applicant = await enrol(name, { redirectUris: hosts })
    const answer = await applicant.register()
    assert.equal(answer.status, 201, answer.text)
    assert.deepEqual([answer.json['redirect_uris'], answer.json['sector_identifier_uri']], [hosts, undefined])
    const client = await applicant.asClient(answer.json['client_id'])
    for (const redirect_uri of hosts.slice(name === 'Several' ? 0 : 2)) {
      const { code } = await authoriseAccounts(client, customer, { redirect_uri })
      const tokens = await client.redeem(code, { redirect_uri })
      assert.equal(tokens.status, 200, tokens.text)
      subjects.push(decodeJwt(String(tokens.json['id_token'])).sub)
    }
  }
  const [one, , , other] = subjects
  assert.deepEqual(subjects, [one, one, one, other])
  assert.notEqual(one, other)
})

test('UKDCR-04 SSA-04 of several hosts each is exactly one that the statement has; one that is given up, or never was, leads nowhere; nor does a code go from one to the other', async () => {
  const hosts = ['https://birch.example/callback', 'https://app.birch.example/callback']
  const applicant = await enrol('Birch', { redirectUris: hosts })
  const extra = ['https://evil.example/callback', 'https://birch.example.evil.example/callback', 'https://birch.example/callback/more']
  for (const uri of extra)
    assert.equal(refusal(await applicant.register({ claims: { redirect_uris: [...hosts, uri] } })), '400 invalid_redirect_uri', uri)
  const { json } = await applicant.register()
  const client = await applicant.asClient(json['client_id'])
  const push = async (redirect_uri = '') => client.push({ redirect_uri, claims: intentClaim(await lodgeAccounts(server, client.clientId)) })
  for (const uri of extra) assert.equal(refusal(await push(uri)), '400 invalid_request', uri)
  const customer = await enterCustomer(server, 'birch')
  const { code } = await authoriseAccounts(client, customer, { redirect_uri: hosts[0] })
  assert.equal(refusal(await client.redeem(code, { redirect_uri: hosts[1] })), '400 invalid_grant')
  const replaced = await applicant.manage('PUT', json['client_id'], {
    body: await applicant.request({ claims: { redirect_uris: [hosts[1]] } }),
  })
  assert.equal(replaced.status, 200, replaced.text)
  assert.equal(refusal(await push(hosts[0])), '400 invalid_request')
  assert.equal((await push(hosts[1])).status, 201)
})

test('OIDC-08 DCR-06 a sector that somebody names is refused: it would be an address to fetch, and nothing follows from it here', async () => {
  const applicant = await enrol('Sector', { redirectUris: ['https://a.example/', 'https://b.example/'] })
  const claims = { sector_identifier_uri: 'https://a.example/sector' }
  assert.equal(refusal(await applicant.register({ claims })), '400 invalid_client_metadata')
})
