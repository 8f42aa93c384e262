import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { keyedSignatures } from './keyed-signatures.ts'

const [newest, older] = ['a-secret-that-is-long-enough-for-this', 'another-secret-that-was-used-before']
const data = '__Host-bankside_session=abc'

test('ATK-04 whatever is no signature of exactly this cookie by one of the keys is none', () => {
  const signatures = keyedSignatures([newest, older])
  const signature = signatures.sign(data)
  assert.equal(signature, createHmac('sha256', newest).update(data).digest('base64url'))
  const changed = `${signature.slice(0, -1)}${signature.endsWith('A') ? 'B' : 'A'}`
  for (const given of ['', changed, signature.slice(0, -1), `${signature}A`, `${signature}=`, signature.toUpperCase(), '\u0101'.repeat(43)])
    assert.equal(signatures.index(data, given), -1, given)
  assert.equal(signatures.verify(`${data}d`, signature), false)
  assert.equal(signatures.verify(data.replace('session', 'interaction'), signature), false)
  assert.equal(keyedSignatures([older]).verify(data, signature), false)
})

test('the newest key signs, an older one is still known, so that the cookie is signed anew', () => {
  const signatures = keyedSignatures([newest, older])
  assert.equal(signatures.index(data, signatures.sign(data)), 0)
  assert.equal(signatures.index(data, keyedSignatures([older]).sign(data)), 1)
  assert.throws(() => keyedSignatures([]), /need a key/)
})
