import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errors, generateKeyPair, SignJWT } from 'jose'
import { issuerSignature } from './issuer-signature.ts'

test('RW-TOK-04 a key that is withdrawn while a token is verified with it is not remembered', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const claims = { sub: 'ann', client_id: 'tpp', jti: 'one', cnf: { jkt: 'key' } }
  const jwt = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'old' })
    .setIssuer('https://issuer.test')
    .setAudience('https://api.test')
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(privateKey)
  const answer = Promise.withResolvers<typeof publicKey>()
  let generation = 1
  let find = () => answer.promise
  const keys = { find: () => find(), generation: () => generation, load: async () => {}, close: () => {} }
  const verify = issuerSignature('https://api.test', { issuer: 'https://issuer.test', keys })
  const now = new Date()

  const begunBefore = verify(jwt, now)
  generation = 2
  find = () => Promise.reject(new errors.JWKSNoMatchingKey())
  await assert.rejects(verify(jwt, now), errors.JWKSNoMatchingKey)
  answer.resolve(publicKey)
  assert.equal((await begunBefore).sub, 'ann')
  await assert.rejects(verify(jwt, now), errors.JWKSNoMatchingKey)
})
