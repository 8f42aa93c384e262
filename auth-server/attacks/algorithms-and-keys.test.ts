import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT, UnsecuredJWT } from 'jose'
import { refusal } from '../testing/authorise.ts'
import { enterCustomer, lodgeAccounts } from '../testing/bank-fixtures.ts'
import { allOf, type EveryProfile, registerEveryProfile, withRedirects } from '../testing/every-profile.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { intentClaim, type ThirdParty } from '../testing/third-party.ts'

/** RFC 8725 section 2: the header of a JWT is the attacker's to write, and so is whatever it points at. */
let server: TestServer
let every: EveryProfile
let hybrid: ThirdParty
let signer: ThirdParty
let stranger: Awaited<ReturnType<typeof generateKeyPair>>

before(async () => {
  server = await startTestServer()
  await enterCustomer(server, 'ada')
  every = await registerEveryProfile(server)
  hybrid = every.fapi1_adv_hybrid
  signer = every.fapi2_ms
  stranger = await generateKeyPair('ES256', { extractable: true })
})
after(() => server.stop())

const claimsOf = async (thirdParty: ThirdParty) => intentClaim(await lodgeAccounts(server, thirdParty.clientId))
const cc = { grant_type: 'client_credentials', scope: 'accounts' }
type Claims = Record<string, unknown>
/** How somebody without the client's key signs claims all the same. */
type Forging = (claims: Claims, client: ThirdParty, typ: string | undefined) => Promise<string> | string

const signedBy = (claims: Claims, header: Claims, key: Parameters<SignJWT['sign']>[0] = stranger.privateKey) =>
  new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'first', ...header }).sign(key)

const forgings: Readonly<Record<string, Forging>> = {
  'unsigned, with alg none': (claims) => new UnsecuredJWT(claims).encode(),
  'unsigned, with alg nOnE': (claims) => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    return `${part({ alg: 'nOnE', kid: 'first' })}.${part(claims)}.`
  },
  'with a key of its own under the id of the client’s': (claims, _client, typ) => signedBy(claims, { typ }),
  'with a key that it brings along as jwk': async (claims, _client, typ) =>
    signedBy(claims, { typ, jwk: await exportJWK(stranger.publicKey) }),
  'with a key that jku leads to': (claims, _client, typ) => signedBy(claims, { typ, jku: 'https://evil.example/jwks' }),
  'with a key that x5u leads to': (claims, _client, typ) => signedBy(claims, { typ, x5u: 'https://evil.example/chain.pem' }),
  'with the client’s certificate in x5c and another key': (claims, { credential }, typ) =>
    signedBy(claims, { typ, x5c: [credential.cert.replace(/-----[^-]+-----|\s/g, '')] }),
  'with crit that nobody understands': (claims, { signingKey }, typ) =>
    signedBy(claims, { typ, crit: ['https://evil.example/new'], 'https://evil.example/new': true }, signingKey).catch(() => 'a.b.c'),
}

for (const [how, forge] of Object.entries(forgings)) {
  test(`algorithm and key: a client assertion ${how} is none, of any profile (FAPI2-CR-01 FAPI2-CR-07)`, async () => {
    for (const client of allOf(every)) {
      const now = Math.floor(Date.now() / 1000)
      const { clientId } = client
      const claims = { iss: clientId, sub: clientId, aud: server.issuer, jti: crypto.randomUUID(), iat: now, exp: now + 60 }
      const client_assertion = await forge(claims, client, undefined)
      assert.match(refusal(await client.token({ ...cc, client_assertion })), /^40[01] invalid_(client|request)$/, clientId)
    }
  })

  test(`algorithm and key: a signed request ${how} is none, of any profile that has them (JAR-01 FAPI2-MS-01 FAPI1A-01 CIBA-04)`, async () => {
    for (const client of withRedirects(every).filter(({ profile }) => profile.requestObjects === 'required')) {
      const now = Math.floor(Date.now() / 1000)
      const { clientId } = client
      const claims = { ...client.request(), claims: await claimsOf(client), iss: clientId, aud: server.issuer, nbf: now, exp: now + 300 }
      const request = await forge(claims, client, 'oauth-authz-req+jwt')
      assert.match(refusal(await client.post('/par', { client_id: clientId, request })), /^400 invalid_request(_object)?$/, clientId)
    }
    const { fapi_ciba: ciba } = every
    const claims = ciba.claims({ login_hint: 'ada', claims: JSON.parse(await claimsOf(ciba.thirdParty)) })
    const request = await forge(claims, ciba.thirdParty, undefined)
    assert.equal(refusal(await ciba.thirdParty.post('/backchannel', { request })), '400 invalid_request')
  })
}

test('algorithm and key: a DPoP proof with alg none, by a shared secret or by another key than it shows is none (DPOP-01 FAPI2-CR-01)', async () => {
  const jwk = await exportJWK(stranger.publicKey)
  const claims = { htm: 'POST', htu: `${server.mtlsIssuer}/token`, iat: Math.floor(Date.now() / 1000), jti: crypto.randomUUID() }
  const header = { typ: 'dpop+jwt', jwk }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const proofs = [
    `${part({ ...header, alg: 'none' })}.${part(claims)}.`,
    await signedBy(claims, { ...header, alg: 'HS256' }, Buffer.from(await exportSPKI(stranger.publicKey))),
    await signedBy(claims, { ...header, alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } }, Buffer.alloc(32)),
    await signedBy(claims, header, every.fapi2_sp.signingKey),
    await signedBy(claims, { ...header, typ: 'jwt' }),
    await signedBy(claims, { ...header, jwk: await exportJWK(stranger.privateKey) }),
  ]
  for (const dpop of proofs) assert.equal(refusal(await every.fapi2_sp.token(cc, { headers: { dpop } })), '400 invalid_dpop_proof')
})

test('key substitution: who registers another’s public key can say nothing in its name with what it signed (FAPI2-AS-05 JAR-02)', async () => {
  const { keys } = { keys: [{ ...(await exportJWK(signer.signingKey)), d: undefined, kid: 'first', use: 'sig', alg: 'ES256' }] }
  await server.owner.query(sql.unsafe`
    update clients.client set metadata = jsonb_set(metadata, '{jwks}', ${JSON.stringify({ keys })}::jsonb), updated_at = now()
    where client_id = ${hybrid.clientId}`)
  const assertion = await signer.assertion()
  const asHybrid = await hybrid.post('/token', { ...cc, client_id: hybrid.clientId, client_assertion: assertion })
  assert.match(refusal(asHybrid), /^40[01] invalid_(client|request)$/)
  const request = await signer.requestObject({ claims: await claimsOf(signer) })
  const borrowed = await signer.assertion({ iss: hybrid.clientId, sub: hybrid.clientId })
  const pushed = await hybrid.post('/par', { client_id: hybrid.clientId, request, client_assertion: borrowed })
  assert.match(refusal(pushed), /^400 invalid_request(_object)?$/)
  // Back to its own: a key that was taken out counts no longer, though it was just used and is remembered.
  const own = { keys: [{ ...(await exportJWK(hybrid.signingKey)), d: undefined, kid: 'first', use: 'sig', alg: 'ES256' }] }
  await server.owner.query(sql.unsafe`
    update clients.client set metadata = jsonb_set(metadata, '{jwks}', ${JSON.stringify(own)}::jsonb), updated_at = now()
    where client_id = ${hybrid.clientId}`)
  const late = await signer.assertion({ iss: hybrid.clientId, sub: hybrid.clientId })
  assert.equal(refusal(await hybrid.token({ ...cc, client_assertion: late })), '401 invalid_client')
  assert.equal((await hybrid.token(cc)).status, 200)
})

test('key substitution: what was verified before is not taken again under another header, when it ran out, or with another payload (FAPI2-CR-11)', async () => {
  const client = every.fapi2_sp
  for (let round = 0; round < 2; round++) assert.equal((await client.token(cc)).status, 200)
  const [header = '', payload = '', signature = ''] = (await client.assertion()).split('.')
  const now = Math.floor(Date.now() / 1000)
  const other = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), jti: 'other' })).toString(
    'base64url',
  )
  const otherHeader = Buffer.from(JSON.stringify({ kid: 'first', alg: 'ES256' })).toString('base64url')
  for (const client_assertion of [
    `${header}.${other}.${signature}`,
    `${otherHeader}.${payload}.${signature}`,
    await client.assertion({ exp: now - 60 }),
    await client.assertion({}, { kid: 'second' }),
  ])
    assert.match(refusal(await client.token({ ...cc, client_assertion })), /^40[01] invalid_(client|request)$/)
})

test('algorithm confusion: the public key as an HMAC secret signs no request object (FAPI2-CR-01 JAR-01)', async () => {
  const { d: _private, ...jwk } = await exportJWK(signer.signingKey)
  const pem = await exportSPKI((await importJWK(jwk, 'ES256')) as never)
  for (const secret of [pem, JSON.stringify(jwk), jwk.x ?? '', Buffer.from(jwk.x ?? '', 'base64url')]) {
    const request = await signer.requestObject({ claims: await claimsOf(signer) }, { alg: 'HS256' }, Buffer.from(secret) as never)
    assert.equal(refusal(await signer.post('/par', { client_id: signer.clientId, request })), '400 invalid_request_object')
  }
})

test('key id tricks: a key id that leads elsewhere, to another client’s key or to none finds no key (FAPI2-CR-07 JAR-01)', async () => {
  for (const kid of [
    '../../../etc/passwd',
    "' or 1=1 --",
    'https://evil.example/jwks#first',
    'second',
    '',
    '__proto__',
    'x'.repeat(4_000),
  ]) {
    const request = await hybrid.requestObject(
      { claims: await claimsOf(signer), client_id: signer.clientId, iss: signer.clientId },
      { kid },
    )
    assert.equal(
      refusal(await signer.post('/par', { client_id: signer.clientId, request })),
      '400 invalid_request_object',
      kid.slice(0, 30),
    )
  }
})
