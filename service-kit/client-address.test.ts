import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { clientAddress } from './client-address.ts'

const from = (remoteAddress: string, forwardedFor?: string) =>
  ({
    socket: { remoteAddress },
    headers: { ...(forwardedFor !== undefined && { 'x-forwarded-for': forwardedFor }) },
  }) as unknown as IncomingMessage
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const proxies = ['10.0.0.1', '10.0.0.2']

test('what a stranger writes into X-Forwarded-For counts for nothing', () => {
  assert.equal(clientAddress(from('203.0.113.9', '198.51.100.1'), proxies), '203.0.113.9')
  assert.equal(clientAddress(from('::ffff:203.0.113.9', '198.51.100.1'), proxies), '203.0.113.9')
})

test('behind a proxy it is the last address that no trusted proxy has, whatever stands before it', () => {
  assert.equal(clientAddress(from('10.0.0.1', '203.0.113.9'), proxies), '203.0.113.9')
  assert.equal(clientAddress(from('::ffff:10.0.0.1', '198.51.100.1, 203.0.113.9, 10.0.0.2'), proxies), '203.0.113.9')
  assert.equal(clientAddress(from('10.0.0.1', `${'1.1.1.1,'.repeat(500)} 203.0.113.9`), proxies), '203.0.113.9')
})

test('a trusted proxy that says nothing tells nobody apart', () => {
  for (const header of [undefined, '', '10.0.0.2']) assert.equal(clientAddress(from('10.0.0.1', header), proxies), undefined)
})

test('an IPv6 network is one caller', () => {
  const one = clientAddress(from('2001:db8:1:2:3:4:5:6'), [])
  assert.equal(one, '2001:db8:1:2::/64')
  for (const same of ['2001:db8:1:2::1', '2001:0db8:0001:0002:ffff::', '2001:db8:1:2::']) assert.equal(clientAddress(from(same), []), one)
  assert.notEqual(clientAddress(from('2001:db8:1:3::1'), []), one)
  assert.equal(clientAddress(from('::1'), []), '0:0:0:0::/64')
})

test('an address keeps nothing of the header in which it stood', () => {
  const before = heapUsed()
  const addresses = Array.from({ length: 1_000 }, (_, index) =>
    clientAddress(from('10.0.0.1', `${'1.1.1.1,'.repeat(1_000)} 203.0.${100 + Math.floor(index / 100)}.${100 + (index % 100)}`), proxies),
  )
  assert.ok(heapUsed() - before < 2_000_000)
  assert.equal(new Set(addresses).size, 1_000)
})

function heapUsed(): number {
  collect()
  return process.memoryUsage().heapUsed
}
