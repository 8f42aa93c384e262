import assert from 'node:assert/strict'
import { constants, createHash, generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createAuthority, selfSign } from '@bankside/certs/authority'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { sql, transact } from '@bankside/service-kit/postgres'
import { untilWaitingForLocks } from '@bankside/service-kit/test-lock-waits'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'
import type { Answer, ProofOptions, Request } from './testing/test-client.ts'
import { audiences, type TokenOptions } from './testing/test-issuer.ts'
import { startTestWorld, strong, type TestWorld } from './testing/test-world.ts'

const path = '/open-banking/v4.0/aisp/accounts'
let world: TestWorld
/** What a good token of each client says. */
let said: Record<'acorn' | 'cobalt', Omit<TokenOptions, 'clientId'>>
const organisation = { name: 'Cobalt', identifier: 'PSDGB-FCA-900103', directoryId: 'COBALT', roles: ['PSP_AI'] } as const
const clientIds = { acorn: 'acorn-money', cobalt: 'cobalt-pay' } as const

before(async () => {
  world = await startTestWorld()
  const claimsFor = async (name: 'acorn' | 'cobalt') => {
    const client = world[name]
    const body = { Data: { Permissions: ['ReadAccountsBasic'] }, Risk: {} }
    const lodged = await client.send('POST', '/open-banking/v4.0/aisp/account-access-consents', {
      token: await world.clientToken(client, 'accounts'),
      body,
    })
    const token = await world.authorise(client, lodged.body.Data.ConsentId, world.ada, [world.ada.accounts[0]?.id as `acc_${string}`])
    const { grant_id, consent_id } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    return { scope: 'openid accounts', grantId: grant_id, consentId: consent_id, acr: strong, cnf: client.cnf }
  }
  said = { acorn: await claimsFor('acorn'), cobalt: await claimsFor('cobalt') }
})
after(() => world.close())

const mint = (name: 'acorn' | 'cobalt', over: Partial<TokenOptions> = {}) =>
  world.issuer.mint({ clientId: clientIds[name], ...said[name], ...over })
const get = async (name: 'acorn' | 'cobalt', over: Partial<TokenOptions> = {}, request: Request = {}) =>
  world[name].send('GET', path, { token: await mint(name, over), ...request })

function assertRefused(answer: Answer, challenge: RegExp, label = ''): void {
  assert.equal(answer.status, 401, `${label}: ${answer.text}`)
  assert.equal(answer.text, '', label)
  assert.match(String(answer.headers['www-authenticate']), challenge, label)
}

for (const name of ['acorn', 'cobalt'] as const) {
  const scheme = name === 'acorn' ? 'DPoP' : 'Bearer'
  const invalid = new RegExp(`^${scheme} error="invalid_token"`)
  const now = () => Math.floor(Date.now() / 1000)

  const bad: [label: string, over: () => Partial<TokenOptions> | Promise<Partial<TokenOptions>>][] = [
    ['expired', () => ({ claims: { exp: now() - 1 } })],
    ['not valid yet', () => ({ claims: { nbf: now() + 60 } })],
    ['of another issuer', () => ({ claims: { iss: 'https://elsewhere.test' } })],
    ["for the bank's own API", () => ({ audience: audiences.bank })],
    ['for several audiences', () => ({ claims: { aud: [audiences.uk, audiences.bank] } })],
    ['with its audience in an array', () => ({ claims: { aud: [audiences.uk] } })],
    ['without exp', () => ({ claims: { exp: undefined } })],
    ['without client_id', () => ({ claims: { client_id: undefined } })],
    ['without jti', () => ({ claims: { jti: undefined } })],
    ['without cnf', () => ({ claims: { cnf: undefined } })],
    ['with an empty cnf', () => ({ claims: { cnf: {} } })],
    ['with a cnf of another kind', () => ({ claims: { cnf: { kid: 'x' } } })],
    ['that is an ID token', () => ({ header: { typ: 'JWT' } })],
    ['without typ', () => ({ header: { typ: undefined } as never })],
    ['with a critical extension that is not understood', () => ({ header: { crit: ['exp'], exp: 1 } as never })],
    ['signed by a key of nobody', async () => ({ key: (await generateKeyPair('ES256')).privateKey })],
    ['of an unknown key id', () => ({ header: { kid: 'unknown' } })],
    ['signed with RS256', async () => ({ header: { alg: 'RS256' }, key: (await generateKeyPair('RS256')).privateKey })],
    ['signed with HS256 and the public key as secret', async () => ({ header: { alg: 'HS256' }, key: await publicKeyAsSecret() })],
    ['with its key in the header', async () => keyInHeader()],
  ]
  for (const [label, over] of bad)
    test(`FAPI2-RS-03 AT-01 AT-02 FAPI2-CR-01 FAPI2-CR-02 a token ${label} is refused (${scheme})`, async () => {
      assertRefused(await get(name, await over()), invalid, label)
    })

  test(`FAPI2-CR-03 alg none and altered tokens are refused (${scheme})`, async () => {
    const token = await mint(name)
    const [header = '', payload = '', signature = ''] = token.split('.')
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url')
    const widened = Buffer.from(
      Buffer.from(payload, 'base64url').toString().replace('openid accounts', 'openid accounts payments'),
    ).toString('base64url')
    for (const altered of [
      `${none}.${payload}.`,
      `${header}.${widened}.${signature}`,
      `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      `${header}.${payload}`,
      'x',
      `${token}.x`,
      'A'.repeat(5_000),
    ])
      assertRefused(await world[name].send('GET', path, { token: altered }), invalid, altered.slice(0, 40))
  })

  test(`FAPI2-RS-01 FAPI2-RS-06 the scheme is compared without regard to case (${scheme})`, async () => {
    for (const spelled of [scheme, scheme.toLowerCase(), scheme.toUpperCase()])
      assert.equal((await get(name, {}, { scheme: spelled })).status, 200)
  })

  test(`FAPI2-RS-02 a token in the query string or a form is refused (${scheme})`, async () => {
    const token = await mint(name)
    const inQuery = await world[name].send('GET', `${path}?access_token=${token}`, {})
    assert.equal(inQuery.status, 400)
    assert.match(String(inQuery.headers['www-authenticate']), /error="invalid_request"/)
    assert.doesNotMatch(inQuery.text, /eyJ/)
    assert.equal((await world[name].send('GET', `${path}?access_token=x`, { token })).status, 400)
    const form = { raw: `access_token=${token}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } }
    assert.equal((await world[name].send('POST', '/open-banking/v4.0/aisp/account-access-consents', form)).status, 415)
    assertRefused(await world[name].send('GET', path, form), /^DPoP algs/)
  })

  test(`RW-H-01 RW-ST-04 without a token, or with something else in its place: 401 and both schemes (${scheme})`, async () => {
    assertRefused(await world[name].send('GET', path), /^DPoP algs="ES256 PS256 EdDSA Ed25519", Bearer$/)
    for (const authorization of ['Basic YTpi', 'Bearer', 'Bearer  ', 'DPoP a b', 'Bearer <token>']) {
      const answer = await world[name].send('GET', path, { headers: { authorization } })
      assert.deepEqual([answer.status, answer.text], [401, ''], authorization)
    }
  })

  test(`FAPI2-RS-03 CON-08 revoked: the very next call is refused when grant, client or consent ends (${scheme})`, async () => {
    const token = await mint(name)
    const call = () => world[name].send('GET', path, { token })
    assert.equal((await call()).status, 200)
    const { grantId = '' } = said[name]
    // For the rest of this file the grant goes on, which nothing in the product could make it do.
    const wake = sql.unsafe`update oidc.grant set revoked_at = null where grant_id = ${grantId}`
    await world.owner.query(sql.unsafe`update oidc.grant set revoked_at = now() where grant_id = ${grantId}`)
    assertRefused(await call(), invalid)
    await world.owner.query(sql.unsafe`alter table oidc.grant disable trigger user`)
    await world.owner.query(wake)
    await world.owner.query(sql.unsafe`alter table oidc.grant enable trigger user`)
    for (const [ends, begins] of [
      [
        sql.unsafe`update oidc.grant set expires_at = now() where grant_id = ${grantId}`,
        sql.unsafe`update oidc.grant set expires_at = now() + interval '1 day' where grant_id = ${grantId}`,
      ],
      [
        sql.unsafe`update clients.client set status = 'blocked' where client_id = ${clientIds[name]}`,
        sql.unsafe`update clients.client set status = 'active' where client_id = ${clientIds[name]}`,
      ],
    ] as const) {
      await world.owner.query(ends)
      assertRefused(await call(), invalid)
      await world.owner.query(begins)
      assert.equal((await call()).status, 200)
    }
  })
}

async function publicKeyAsSecret(): Promise<Uint8Array> {
  const { publicKey } = world.issuer.published[0] ?? {}
  return publicKey ? new TextEncoder().encode(JSON.stringify(await exportJWK(publicKey))) : new Uint8Array()
}

async function keyInHeader(): Promise<Partial<TokenOptions>> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  return { key: privateKey, header: { jwk: await exportJWK(publicKey), jku: 'https://elsewhere.test/jwks' } }
}

test('MTLS-03 CERT-10 FAPI2-RS-05 a token bound to a certificate is refused with another one, and with none', async () => {
  const token = await mint('cobalt')
  const thief = await world.newClient('mtls')
  assertRefused(await thief.send('GET', path, { token }), /^Bearer error="invalid_token"/)
  assertRefused(await world.acorn.send('GET', path, { token, scheme: 'Bearer', proof: undefined }), /^Bearer error="invalid_token"/)
  assertRefused(await world.acorn.send('GET', path, { token }), /^DPoP error="invalid_token"/)
  thief.close()
})

test('MTLS-02 MTLS-03 FAPI1A-10 a token bound to a certificate that its client signed itself is accepted with it, one of an unknown authority is not', async () => {
  const now = new Date()
  const own = await world.newClient('mtls', await selfSign({ commonName: 'cobalt', now }))
  assert.equal((await own.send('GET', path, { token: await mint('cobalt', { cnf: own.cnf }) })).status, 200)
  assertRefused(await own.send('GET', path, { token: await mint('cobalt') }), /^Bearer error="invalid_token"/)
  const stranger = await createAuthority({ commonName: 'Another authority', now })
  const issued = await issueTransportCertificate(stranger, { organisation, keyKind: 'ec', now })
  const foreign = await world.newClient('mtls', issued)
  assertRefused(await foreign.send('GET', path, { token: await mint('cobalt', { cnf: foreign.cnf }) }), /^Bearer error="invalid_token"/)
  for (const client of [own, foreign]) client.close()
})

test('MTLS-05 CERT-11 a certificate in a header is not believed from outside', async () => {
  const token = await mint('cobalt')
  const headers = { 'client-cert': ':AAAA:', 'x-client-cert': 'x', 'ssl-client-cert': 'x' }
  assertRefused(
    await world.acorn.send('GET', path, { token, scheme: 'Bearer', proof: undefined, headers }),
    /^Bearer error="invalid_token"/,
  )
})

test('DPOP-06 FAPI2-RS-05 a token bound to a key is refused as Bearer, without a proof, and with a proof of another key', async () => {
  const token = await mint('acorn')
  assertRefused(await world.acorn.send('GET', path, { token, scheme: 'Bearer' }), /^Bearer error="invalid_token"/)
  assertRefused(
    await world.acorn.send('GET', path, { token, proof: undefined }),
    /^DPoP error="invalid_dpop_proof", algs="ES256 PS256 EdDSA Ed25519"$/,
  )
  const thief = await world.newClient('dpop')
  assertRefused(await thief.send('GET', path, { token }), /^DPoP error="invalid_token"/)
  thief.close()
})

test('DPOP-01 two DPoP headers are refused, even two good ones', async () => {
  const token = await mint('acorn')
  const proof = [await world.acorn.prove('GET', path, token), await world.acorn.prove('GET', path, token)]
  assertRefused(await world.acorn.send('GET', path, { token, proof }), /invalid_dpop_proof/)
})

const seconds = () => Math.floor(Date.now() / 1000)
const badProofs: [label: string, options: () => ProofOptions | Promise<ProofOptions>][] = [
  ['typ of another kind', () => ({ header: { typ: 'JWT' } })],
  ['no typ', () => ({ header: { typ: undefined } as never })],
  ['no jwk', () => ({ header: { jwk: undefined } as never })],
  ['a private key in jwk', async () => ({ header: { jwk: { ...world.acorn.jwk, d: 'AAAA' } } })],
  ['a symmetric key in jwk', () => ({ header: { jwk: { kty: 'oct', k: 'AAAA' } } })],
  ['a key that is no point of the curve', () => ({ header: { jwk: { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' } } })],
  ['jwk that is no object', () => ({ header: { jwk: 'x' } as never })],
  ['alg RS256', async () => rsaProof('RS256', 2048)],
  ['alg HS256', () => ({ header: { alg: 'HS256' }, key: randomBytes(32) })],
  ['a signature of another key', async () => ({ key: (await generateKeyPair('ES256')).privateKey })],
  ['a critical extension', () => ({ header: { crit: ['exp'], exp: 1 } as never })],
  ['htm of another method', () => ({ claims: { htm: 'POST' } })],
  ['htm in lower case', () => ({ claims: { htm: 'get' } })],
  ['htu of another path', () => ({ claims: { htu: 'https://rs.bankside.test/open-banking/v4.0/aisp/balances' } })],
  ['htu of another host', () => ({ claims: { htu: `https://elsewhere.test${path}` } })],
  ['htu of another scheme', () => ({ claims: { htu: `http://rs.bankside.test${path}` } })],
  ['htu with user information', () => ({ claims: { htu: `https://a:b@rs.bankside.test${path}` } })],
  ['htu that is no URL', () => ({ claims: { htu: path } })],
  ['no htu', () => ({ claims: { htu: undefined } })],
  ['no htm', () => ({ claims: { htm: undefined } })],
  ['no jti', () => ({ claims: { jti: undefined } })],
  ['an empty jti', () => ({ claims: { jti: '' } })],
  ['a jti that is too long', () => ({ claims: { jti: 'x'.repeat(300) } })],
  ['no iat', () => ({ claims: { iat: undefined } })],
  ['an old iat', () => ({ claims: { iat: seconds() - 120 } })],
  ['an iat in the future', () => ({ claims: { iat: seconds() + 120 } })],
  ['iat in milliseconds', () => ({ claims: { iat: Date.now() } })],
  ['iat as text', () => ({ claims: { iat: String(seconds()) } })],
  ['no ath', () => ({ claims: { ath: undefined } })],
  ['ath of another token', () => ({ claims: { ath: createHash('sha256').update('x').digest('base64url') } })],
]
for (const [label, options] of badProofs)
  test(`DPOP-01 DPOP-06 RW-D-04 a proof with ${label} is refused`, async () => {
    const token = await mint('acorn')
    const proof = await world.acorn.prove('GET', path, token, await options()).catch(() => undefined)
    const forged = proof ?? unsignable(token, await options())
    assertRefused(
      await world.acorn.send('GET', path, { token, proof: forged }),
      /^DPoP error="invalid_dpop_proof", algs="ES256 PS256 EdDSA Ed25519"$/,
      label,
    )
  })

/** What a library refuses to sign is sent with a signature that is none. */
function unsignable(token: string, { header, claims }: ProofOptions): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const ath = createHash('sha256').update(token).digest('base64url')
  const payload = { htm: 'GET', htu: `https://rs.bankside.test${path}`, iat: seconds(), jti: randomUUID(), ath, ...claims }
  return `${encode({ alg: 'ES256', typ: 'dpop+jwt', jwk: world.acorn.jwk, ...header })}.${encode(payload)}.${randomBytes(64).toString('base64url')}`
}

async function rsaProof(alg: string, modulusLength: number): Promise<ProofOptions> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { modulusLength, extractable: true })
  return { header: { alg, jwk: await exportJWK(publicKey) }, key: privateKey }
}

test('FAPI2-CR-04 a proof signed well by an RSA key of 1024 bits is refused', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const jwk = publicKey.export({ format: 'jwk' }) as JWK
  const token = await mint('acorn', { cnf: { jkt: await calculateJwkThumbprint(jwk) } })
  const [header = '', payload = ''] = unsignable(token, { header: { alg: 'PS256', jwk } }).split('.')
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  const signature = sign('sha256', Buffer.from(`${header}.${payload}`), { key: privateKey, ...padding }).toString('base64url')
  assertRefused(await world.acorn.send('GET', path, { token, proof: `${header}.${payload}.${signature}` }), /invalid_dpop_proof/)
})

test('DPOP-01 proofs that are no JWT are refused', async () => {
  const token = await mint('acorn')
  for (const proof of ['x', '..', 'a.b.c', '{}', 'x'.repeat(5_000)])
    assertRefused(await world.acorn.send('GET', path, { token, proof }), /invalid_dpop_proof/, proof)
})

test('DPOP-02 htu is compared without query and fragment, and after normalisation', async () => {
  const token = await mint('acorn')
  for (const htu of [
    `https://rs.bankside.test${path}`,
    `https://RS.bankside.test:443${path}?x=1#y`,
    `https://rs.bankside.test/open-banking/v4.0/./aisp/accounts`,
  ]) {
    const proof = await world.acorn.prove('GET', path, token, { claims: { htu } })
    assert.equal((await world.acorn.send('GET', `${path}?x=1`, { token, proof })).status, 200, htu)
  }
})

test('DPOP-01 proofs signed with PS256, EdDSA and Ed25519 are as good', async () => {
  for (const alg of ['PS256', 'EdDSA', 'Ed25519']) {
    const client = await world.newClient('dpop')
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    const jwk = await exportJWK(publicKey)
    const token = await mint('acorn', { cnf: { jkt: await calculateJwkThumbprint(jwk) } })
    const proof = await client.prove('GET', path, token, { header: { alg, jwk }, key: privateKey })
    assert.equal((await client.send('GET', path, { token, proof })).status, 200, alg)
    client.close()
  }
})

test('DPOP-01 an iat a few seconds ahead or behind is accepted', async () => {
  const token = await mint('acorn')
  for (const skew of [-30, -5, 5]) {
    const proof = await world.acorn.prove('GET', path, token, { claims: { iat: seconds() + skew } })
    assert.equal((await world.acorn.send('GET', path, { token, proof })).status, 200, String(skew))
  }
})

test('DPOP-03 FAPI2-CR-11 a proof is used once: of eight at once exactly one wins, and none afterwards', async () => {
  const token = await mint('acorn')
  const proof = await world.acorn.prove('GET', path, token)
  const answers = await Promise.all(Array.from({ length: 8 }, () => world.acorn.send('GET', path, { token, proof })))
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 401, 401, 401, 401, 401, 401, 401])
  assertRefused(await world.acorn.send('GET', path, { token, proof }), /invalid_dpop_proof/)
})

test('DPOP-03 a proof that came with a refused request is used up too', async () => {
  const token = await mint('acorn', { scope: 'openid payments' })
  const proof = await world.acorn.prove('GET', path, token)
  assert.equal((await world.acorn.send('GET', path, { token, proof })).status, 403)
  assertRefused(await world.acorn.send('GET', path, { token, proof }), /invalid_dpop_proof/)
})

test('DPOP-03 a read is not answered before its proof is used up, though what it reads is known', async () => {
  const token = await mint('acorn')
  const proof = await world.acorn.prove('GET', path, token)
  let answered = false
  const reading = await transact(world.owner, async (tx) => {
    await tx.query(sql.unsafe`lock table oidc.used_proof in exclusive mode`)
    const answer = world.acorn.send('GET', path, { token, proof }).finally(() => {
      answered = true
    })
    await untilWaitingForLocks(world.owner, 1)
    assert.equal((await get('cobalt')).status, 200, 'a request that came later and has no proof')
    assert.equal(answered, false)
    return { answer }
  })
  assert.equal((await reading.answer).status, 200)
})

test('FAPI2-CR-09 a new signing key is fetched when a token names it, and old ones stay good while they are published', async () => {
  const next = await world.issuer.newKey()
  world.issuer.published.push(next)
  world.clock.offsetMs += 11_000
  const claims = { clientId: clientIds.cobalt, ...said.cobalt }
  assert.equal((await world.cobalt.send('GET', path, { token: await world.issuer.mintWith(next, claims) })).status, 200)
  assert.equal((await get('cobalt')).status, 200)
  world.clock.offsetMs = 0
})

test('CERT-14 a flood of unknown key ids does not become a flood of requests to the authorization server', async () => {
  const before = world.issuer.asked()
  await Promise.all(Array.from({ length: 30 }, (_, n) => get('cobalt', { header: { kid: `invented-${n}` } })))
  assert.ok(world.issuer.asked() - before <= 1)
})

test('nothing of a token, a proof or a person reaches the log', () => {
  const log = world.lines.join('')
  assert.doesNotMatch(log, /eyJ|Ada Byron|@example\.test|040404/)
  assert.match(log, /"refusals":\["proof_invalid"\]/)
})
