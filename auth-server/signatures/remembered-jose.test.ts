import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mock, test } from 'node:test'
import * as jose from 'jose'
import * as remembered from './remembered-jose.ts'

type Pair = { readonly privateKey: KeyObject; readonly jwk: jose.JWK; readonly alg: string }

const pairOf = (alg: string, pair: { privateKey: KeyObject; publicKey: KeyObject }): Pair => ({
  alg,
  privateKey: pair.privateKey,
  jwk: pair.publicKey.export({ format: 'jwk' }) as jose.JWK,
})
const elliptic = () => pairOf('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const pairs = [
  elliptic(),
  pairOf('PS256', generateKeyPairSync('rsa', { modulusLength: 2048 })),
  pairOf('EdDSA', generateKeyPairSync('ed25519')),
  pairOf('Ed25519', generateKeyPairSync('ed25519')),
]
const claims = { iss: 'client', jti: 'one', name: 'Zoë', exp: 4_102_444_800 }
const signed = ({ alg, privateKey }: Pair, payload: object = claims, header: object = {}) =>
  new jose.CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg, ...header }).sign(privateKey)
const proofOf = ({ alg, privateKey, jwk }: Pair, payload: object, header: object = {}) =>
  new jose.CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg, typ: 'dpop+jwt', jwk, ...header }).sign(privateKey)

/** What the two answer: the value, or the class and words of the error. */
async function outcome(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    (value) => ({ value: shown(value) }),
    (error: Error) => ({ name: error.name, code: (error as { code?: string }).code }),
  )
}

function shown(value: unknown): unknown {
  const { payload, ...rest } = value as { payload: unknown }
  const text = payload instanceof Uint8Array ? Buffer.from(payload).toString('hex') : payload
  return JSON.parse(JSON.stringify({ ...rest, payload: text }))
}

const changed = (text: string, at: number, to: string) => `${text.slice(0, at)}${to}${text.slice(at + 1)}`

/** Ways in which a JWS is not what it was, as an attacker or a bad library would write it. */
function* spoilt(jws: string): Generator<string> {
  const [header = '', payload = '', signature = ''] = jws.split('.')
  for (const segments of [
    [header, payload],
    [header, payload, signature, ''],
    [header, payload, signature, 'x', 'y'],
    ['', payload, signature],
  ])
    yield segments.join('.')
  yield [header, '', signature].join('.')
  yield [header, payload, ''].join('.')
  for (const padding of ['=', '==', ' ', '\n', '\0', '+', 'é']) {
    yield `${header}${padding}.${payload}.${signature}`
    yield `${header}.${payload}${padding}.${signature}`
    yield `${header}.${payload}.${signature}${padding}`
  }
  for (let at = 0; at < jws.length; at += 7) for (const digit of ['A', '_', '.']) yield changed(jws, at, digit)
  // The last digit of a segment can have bits that mean nothing.
  for (const digit of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz') yield changed(jws, jws.length - 1, digit)
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const hmac = Buffer.from('{"alg":"HS256"}').toString('base64url')
  const critical = Buffer.from('{"alg":"ES256","crit":["exp"],"exp":1}').toString('base64url')
  const unencoded = Buffer.from('{"alg":"ES256","crit":["b64"],"b64":false}').toString('base64url')
  for (const other of [none, hmac, critical, unencoded]) yield `${other}.${payload}.${signature}`
}

for (const pair of pairs)
  test(`${pair.alg}: what jose refuses is refused, in the same words, also when the header is remembered`, async () => {
    const good = await signed(pair)
    const key = { ...pair.jwk }
    const options = { algorithms: [pair.alg] }
    const expected = await outcome(jose.compactVerify(good, { ...pair.jwk }, options))
    assert.deepEqual(await outcome(remembered.compactVerify(good, key, options)), expected)
    assert.deepEqual(await outcome(remembered.compactVerify(good, key, options)), expected)
    for (const bad of spoilt(good))
      assert.deepEqual(
        await outcome(remembered.compactVerify(bad, key, options)),
        await outcome(jose.compactVerify(bad, { ...pair.jwk }, options)),
        bad,
      )
  })

for (const pair of pairs)
  test(`${pair.alg}: a proof that brings its key is verified as jose verifies it, and its thumbprint is the same`, async () => {
    const options = { algorithms: pairs.map(({ alg }) => alg), typ: 'dpop+jwt' }
    const now = Math.floor(Date.now() / 1_000)
    const good = await proofOf(pair, { jti: 'a', iat: now, htm: 'POST' })
    const expected = await outcome(jose.jwtVerify(good, jose.EmbeddedJWK, options))
    const first = await remembered.jwtVerify(good, jose.EmbeddedJWK as never, options)
    const second = await remembered.jwtVerify(good, jose.EmbeddedJWK as never, options)
    for (const { payload, protectedHeader } of [first, second]) {
      const whole = expected as { value: { payload: unknown; protectedHeader: unknown } }
      assert.deepEqual([payload, protectedHeader], [whole.value.payload, whole.value.protectedHeader])
      assert.equal(await remembered.calculateJwkThumbprint(protectedHeader.jwk ?? {}), await jose.calculateJwkThumbprint(pair.jwk))
    }
    const claimsToTry = [
      { jti: 'b', iat: 'yesterday' },
      { jti: 'b' },
      { jti: 'b', iat: now, exp: now - 10 },
      { jti: 'b', iat: now, nbf: now + 600 },
      { jti: 'b', iat: now, exp: 'never' },
      ['iat', now],
      { jti: 'Zoë', iat: now },
    ]
    const others = [...spoilt(good), ...(await Promise.all(claimsToTry.map((payload) => proofOf(pair, payload))))]
    for (const other of others) {
      const wanted = await outcome(jose.jwtVerify(other, jose.EmbeddedJWK, options))
      const given = await outcome(remembered.jwtVerify(other, jose.EmbeddedJWK as never, options))
      assert.deepEqual(withoutKey(given), withoutKey(wanted), other)
    }
  })

const withoutKey = (answer: unknown) => {
  const { value, ...rest } = answer as { value?: { key?: unknown } }
  const { key: _, ...shown } = value ?? {}
  return { ...rest, ...shown }
}

test('DPOP a proof with a private or symmetric key, another typ or an algorithm that is not allowed is refused each time', async () => {
  const pair = elliptic()
  const now = Math.floor(Date.now() / 1_000)
  const options = { algorithms: ['ES256'], typ: 'dpop+jwt' }
  const verify = (proof: string, with_ = options) => remembered.jwtVerify(proof, jose.EmbeddedJWK as never, with_)
  await verify(await proofOf(pair, { jti: 'a', iat: now }))
  const bad = [
    await proofOf(pair, { jti: 'a', iat: now }, { jwk: pair.privateKey.export({ format: 'jwk' }) }),
    await proofOf(pair, { jti: 'a', iat: now }, { jwk: { kty: 'oct', k: 'AAAA' } }),
    await proofOf(pair, { jti: 'a', iat: now }, { jwk: elliptic().jwk }),
    await proofOf(pair, { jti: 'a', iat: now }, { typ: 'jwt' }),
  ]
  for (const proof of bad) for (let time = 0; time < 2; time++) await assert.rejects(verify(proof))
  const good = await proofOf(pair, { jti: 'a', iat: now })
  await assert.rejects(verify(good, { ...options, algorithms: ['PS256'] }), jose.errors.JOSEAlgNotAllowed)
  await assert.rejects(verify(good, { ...options, typ: 'other+jwt' }), jose.errors.JWTClaimValidationFailed)
})

test('a header that was good for one key is nothing for another, and a key for signing with another algorithm is none', async () => {
  const [one, other] = [elliptic(), elliptic()]
  const good = await signed(one)
  const key = { ...one.jwk }
  await remembered.compactVerify(good, key)
  await assert.rejects(remembered.compactVerify(good, { ...other.jwk }), jose.errors.JWSSignatureVerificationFailed)
  await assert.rejects(remembered.compactVerify(good, key, { algorithms: ['PS256'] }), jose.errors.JOSEAlgNotAllowed)
  for (const hint of [{ use: 'enc' }, { alg: 'PS256' }, { key_ops: ['sign'] }])
    for (let time = 0; time < 2; time++) await assert.rejects(remembered.compactVerify(good, { ...one.jwk, ...hint }), TypeError)
})

test('what is only looked into is read as jose reads it, and refused in the same words', async () => {
  const good = await signed(elliptic())
  const [header = '', payload = '', signature = ''] = good.split('.')
  const encoded = (text: string) => Buffer.from(text).toString('base64url')
  const odd = [
    '[]',
    '"text"',
    'null',
    '1',
    '{',
    '',
    ' {"a":1} ',
    '{"__proto__":{"a":1}}',
    '{"a":"Zoë"}',
    '{"a":1,"a":2}',
    '\ufeff{}',
    '{"a":"\\u0000"}',
  ]
  const tokens = [
    ...[
      good,
      header,
      `${header}.${payload}`,
      `${good}.x.y`,
      `${good}.x`,
      '',
      '..',
      '~~',
      'a~b~c',
      1,
      undefined,
      null,
      { protected: header },
      {},
    ],
    ...odd.flatMap((text) => [`${header}.${encoded(text)}.${signature}`, `${encoded(text)}.${payload}.${signature}`]),
    ...spoilt(good),
  ]
  for (const token of tokens)
    for (const name of ['decodeJwt', 'decodeProtectedHeader'] as const) {
      const read = (library: Pick<typeof jose, typeof name>) => outcomeOf(() => library[name](token as string))
      assert.deepEqual(read(remembered as unknown as typeof jose), read(jose), `${name} ${String(token)}`)
    }
})

function outcomeOf(work: () => unknown): unknown {
  try {
    return { value: work() }
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string }
    return { name, code, message }
  }
}

test('a pushed request is kept in the bytes that jose would write', () => {
  const written = (Kind: typeof jose.UnsecuredJWT) =>
    new Kind({ scope: 'openid', claims: { id_token: { acr: null } }, nonce: undefined, iss: 'another', name: 'Zoë', exp: 1 })
      .setIssuedAt(1_000)
      .setIssuer('client')
      .setAudience('server')
      .setExpirationTime(1_060)
      .setNotBefore(1_000)
      .encode()
  assert.equal(written(remembered.UnsecuredJWT as unknown as typeof jose.UnsecuredJWT), written(jose.UnsecuredJWT))
})

test('what was remembered is verified without jose, and a bad signature is looked at once', async () => {
  const pair = elliptic()
  const key = { ...pair.jwk }
  await remembered.compactVerify(await signed(pair), key)
  const subtle = mock.method(crypto.subtle, 'verify')
  try {
    await remembered.compactVerify(await signed(pair), key)
    const good = await signed(pair)
    const bad = changed(good, good.lastIndexOf('.') + 5, good.at(good.lastIndexOf('.') + 5) === 'A' ? 'B' : 'A')
    await assert.rejects(remembered.compactVerify(bad, key), jose.errors.JWSSignatureVerificationFailed)
    assert.equal(subtle.mock.callCount(), 0)
  } finally {
    subtle.mock.restore()
  }
})

test('what is signed here is what jose would have signed: the first time and after', async () => {
  const pair = elliptic()
  const key = { ...(pair.privateKey.export({ format: 'jwk' }) as jose.JWK), alg: 'ES256', use: 'sig' }
  for (let time = 0; time < 50; time++) {
    const payload = Buffer.from(JSON.stringify({ time, name: 'Zoë' }))
    const jws = await new remembered.CompactSign(payload).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k' }).sign(key)
    const verified = await jose.compactVerify(jws, pair.jwk)
    assert.deepEqual(verified.protectedHeader, { alg: 'ES256', typ: 'at+jwt', kid: 'k' })
    assert.deepEqual(Buffer.from(verified.payload), payload)
  }
  const twice = new remembered.CompactSign(Buffer.from('x')).setProtectedHeader({ alg: 'ES256' })
  assert.throws(() => twice.setProtectedHeader({ alg: 'ES256' }), TypeError)
  await assert.rejects(new remembered.CompactSign(Buffer.from('x')).sign(key), jose.errors.JWSInvalid)
  await assert.rejects(
    new remembered.CompactSign(Buffer.from('x')).setProtectedHeader({ alg: 'ES256', crit: ['other'], other: 1 }).sign(key),
    jose.errors.JOSENotSupported,
  )
})
