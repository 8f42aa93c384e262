import assert from 'node:assert/strict'
import { constants, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { fromBase64url } from './base64url.ts'
import { signEs256, verificationKey } from './signature-keys.ts'

const data = Buffer.from('what was signed')
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const edwards = generateKeyPairSync('ed25519')
const pss = (key: KeyObject, saltLength: number, hash = 'sha256') =>
  sign(hash, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })

test('PS256 is PSS with SHA-256 and a salt of 32 bytes, and nothing else', () => {
  const good = verificationKey(rsa.publicKey, 'PS256')
  assert.equal(good?.(data, pss(rsa.privateKey, 32)), true)
  for (const saltLength of [0, 20, 31, 33, 64]) assert.equal(good?.(data, pss(rsa.privateKey, saltLength)), false)
  assert.equal(good?.(data, pss(rsa.privateKey, 32, 'sha512')), false)
  assert.equal(good?.(data, sign('sha256', data, rsa.privateKey)), false)
})

test('ES256 signatures of every shape are as OpenSSL says: leading zeros and high bits', () => {
  const good = verificationKey(ec.publicKey, 'ES256')
  for (let round = 0; round < 1_500; round++) {
    const message = Buffer.from(`message ${round}`)
    const signature = signEs256(ec.privateKey, message)
    assert.equal(verify('sha256', message, { key: ec.publicKey, dsaEncoding: 'ieee-p1363' }, signature), true)
    assert.equal(good?.(message, signature), true)
  }
})

test('ES256 signatures of another length, of zeros, as DER or of another key are not good, and throw nothing', () => {
  const good = verificationKey(ec.publicKey, 'ES256')
  const signature = signEs256(ec.privateKey, data)
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const bad = [
    Buffer.alloc(0),
    Buffer.alloc(64),
    Buffer.concat([signature.subarray(0, 32), Buffer.alloc(32)]),
    Buffer.concat([Buffer.alloc(32), signature.subarray(32)]),
    signature.subarray(0, 63),
    Buffer.concat([signature, Buffer.from([0])]),
    Buffer.alloc(64, 0xff),
    sign('sha256', data, ec.privateKey),
    signEs256(other.privateKey, data),
  ]
  for (const one of bad) assert.equal(good?.(data, one), false)
})

test('a key is of the algorithm or it is none: no confusion of types, no small RSA, no other curve, no private key', () => {
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
  const ed448 = generateKeyPairSync('ed448').publicKey
  assert.equal(verificationKey(rsa.publicKey, 'ES256'), undefined)
  assert.equal(verificationKey(ec.publicKey, 'PS256'), undefined)
  assert.equal(verificationKey(p384, 'ES256'), undefined)
  assert.equal(verificationKey(small, 'PS256'), undefined)
  assert.equal(verificationKey(ed448, 'EdDSA'), undefined)
  assert.equal(verificationKey(ec.privateKey, 'ES256'), undefined)
})

test('an RSA key with which everybody would wait for too long is not verified with at once', () => {
  const unusual = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 0x10003 })
  assert.equal(verificationKey(unusual.publicKey, 'PS256'), undefined)
  const withBits = (bits: number) => {
    const modulus = Buffer.alloc(bits / 8, 0xff).toString('base64url')
    return createPublicKey({ key: { kty: 'RSA', n: modulus, e: 'AQAB' }, format: 'jwk' })
  }
  assert.notEqual(verificationKey(withBits(4096), 'PS256'), undefined)
  assert.equal(verificationKey(withBits(4104), 'PS256'), undefined)
})

test('EdDSA is Ed25519', () => {
  for (const algorithm of ['EdDSA', 'Ed25519'] as const) {
    const good = verificationKey(edwards.publicKey, algorithm)
    assert.equal(good?.(data, sign(null, data, edwards.privateKey)), true)
    assert.equal(good?.(data, Buffer.alloc(64)), false)
  }
})

test('RFC 7515 A.3 and RFC 8037 A.4: the signatures of the specifications', () => {
  const es256 =
    'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
  const ecKey = {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  }
  const eddsa =
    'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
  const edKey = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
  for (const [jws, jwk, algorithm] of [[es256, ecKey, 'ES256'] as const, [eddsa, edKey, 'EdDSA'] as const]) {
    const at = jws.lastIndexOf('.')
    const signature = fromBase64url(jws.slice(at + 1)) ?? Buffer.alloc(0)
    const good = verificationKey(createPublicKey({ key: jwk, format: 'jwk' }), algorithm)
    assert.equal(good?.(Buffer.from(jws.slice(0, at)), signature), true)
    assert.equal(good?.(Buffer.from(`${jws.slice(0, at)}x`), signature), false)
  }
})

test('base64url is read in its one form only', () => {
  assert.deepEqual(fromBase64url('_-8'), Buffer.from([0xff, 0xef]))
  for (const text of ['', 'QQ', 'QUE', 'QUFB', 'QUFBQQ']) assert.equal(fromBase64url(text)?.toString('base64url'), text)
  for (const text of ['QQ==', 'QR', 'QUF', 'Q', 'QUFBQ', 'Q Q', 'QQ\n', '+A', '/w', 'QUE=', 'é'])
    assert.equal(fromBase64url(text), undefined)
})
