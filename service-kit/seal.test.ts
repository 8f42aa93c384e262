import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { seal, unseal } from './seal.ts'

const key = randomBytes(32)

test('a value that was changed, moved to another place, cut short or sealed with another key does not open, and all say the same', () => {
  const sealed = seal(key, 'JBSWY3DPEHPK3PXP', 'customer/1/totp')
  const changed = Buffer.from(sealed)
  changed.writeUInt8(changed.readUInt8(20) ^ 1, 20)
  const wrong = { message: 'a sealed value does not open' }
  assert.throws(() => unseal(key, changed, 'customer/1/totp'), wrong)
  assert.throws(() => unseal(key, sealed, 'customer/2/totp'), wrong)
  assert.throws(() => unseal(key, sealed.subarray(0, 20), 'customer/1/totp'), wrong)
  assert.throws(() => unseal(key, Buffer.alloc(0), 'customer/1/totp'), wrong)
  for (let attempt = 0; attempt < 20; attempt++) assert.throws(() => unseal(randomBytes(32), sealed, 'customer/1/totp'), wrong)
})

test('a value opens for its place, and is sealed differently each time', () => {
  const [one, other] = [seal(key, 'secret', 'a'), seal(key, 'secret', 'a')]
  assert.equal(unseal(key, one, 'a').toString(), 'secret')
  assert.notDeepEqual(one, other)
  assert.ok(!one.includes('secret'))
})

test('after a rotation the old key still opens what it sealed', () => {
  const next = randomBytes(32)
  assert.equal(unseal([next, key], seal(key, 'old', 'a'), 'a').toString(), 'old')
  assert.equal(unseal([next, key], seal(next, 'new', 'a'), 'a').toString(), 'new')
})

test('a key of another length is refused', () => {
  assert.throws(() => seal(randomBytes(16), 'x', 'a'), /32 bytes/)
})
