import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAuthority } from '@bankside/certs/authority'
import { issueServerCertificate } from '@bankside/certs/sandbox-credentials'
import { openRedis, redisScript } from './redis.ts'
import { Unavailable } from './refusal.ts'
import { startTestRedis, withoutRedis } from './test-redis.ts'

const write = redisScript("return redis.call('SET', KEYS[1], ARGV[1])")
const read = redisScript("return redis.call('GET', KEYS[1])")
const quiet = { onChange: () => {} }

for (const [setting, value] of Object.entries({ appendfsync: 'everysec', appendonly: 'no', 'maxmemory-policy': 'allkeys-lru' }))
  test(`a Redis with ${setting} ${value} may forget what was used: nothing starts with it`, { skip: withoutRedis }, async () => {
    const redis = await startTestRedis({ settings: { [setting]: value } })
    try {
      await assert.rejects(
        openRedis({ url: redis.url, ...quiet }),
        (error) => error instanceof Unavailable && error.message.includes(setting),
      )
    } finally {
      await redis.stop()
    }
  })

test('a replica is none either, and neither is what does not say how it keeps data, or is not there', { skip: withoutRedis }, async () => {
  const [redis, replica] = await Promise.all([startTestRedis(), startTestRedis({ settings: { replicaof: '127.0.0.1 1' } })])
  try {
    await assert.rejects(openRedis({ url: replica.url, ...quiet }), /it is a slave/)
    await assert.rejects(openRedis({ url: redis.url.replace(/:[0-9a-f]+@/, ':wrong@'), ...quiet }), Unavailable)
  } finally {
    await Promise.all([redis.stop(), replica.stop()])
  }
  await assert.rejects(openRedis({ url: redis.url, ...quiet }), Unavailable)
})

test('over TLS, from a trusted authority only', { skip: withoutRedis }, async () => {
  const now = new Date()
  const [authority, other] = await Promise.all([createAuthority({ commonName: 'One', now }), createAuthority({ commonName: 'Other', now })])
  const certificate = await issueServerCertificate(authority, { keyKind: 'ec', now })
  const redis = await startTestRedis({ tls: { ...certificate, ca: authority.cert } })
  try {
    const store = await openRedis({ url: redis.url, ca: authority.cert, ...quiet })
    await store.run(write, ['bankside:one'], ['1'])
    assert.equal(await store.run(read, ['bankside:one']), '1')
    await store.end()
    await assert.rejects(openRedis({ url: redis.url, ca: other.cert, ...quiet }), Unavailable)
  } finally {
    await redis.stop()
  }
})

const writeTwo = redisScript("redis.call('HSET', KEYS[1], 'one', ARGV[1]) return redis.call('HSET', KEYS[1], 'two', ARGV[1])")
const readTwo = redisScript("return redis.call('HMGET', KEYS[1], 'one', 'two')")

test('what was answered is on the disk; while Redis is down everything is unavailable, and afterwards it is back', {
  skip: withoutRedis,
}, async () => {
  const redis = await startTestRedis()
  const states: string[] = []
  const store = await openRedis({ url: redis.url, onChange: (state) => void states.push(state) })
  try {
    await Promise.all(Array.from({ length: 200 }, (_, index) => store.run(writeTwo, [`bankside:${index}`], [index])))
    await redis.kill()
    for (const attempt of [() => store.run(read, ['bankside:1']), () => store.check()]) await assert.rejects(attempt(), Unavailable)
    await redis.restart()
    while (states.at(-1) !== 'ready') await sleep(20)
    await store.check()
    for (let index = 0; index < 200; index++)
      assert.deepEqual(await store.run(readTwo, [`bankside:${index}`]), [String(index), String(index)])
    assert.deepEqual(states, ['ready', 'lost', 'ready'])
  } finally {
    await store.end()
    await redis.stop()
  }
})

test('its user reaches our keys only', { skip: withoutRedis }, async () => {
  const redis = await startTestRedis()
  const store = await openRedis({ url: redis.url, ...quiet })
  try {
    await assert.rejects(store.run(read, ['another:one']))
    await assert.rejects(store.run(redisScript("return redis.call('FLUSHALL')"), []))
  } finally {
    await store.end()
    await redis.stop()
  }
})
