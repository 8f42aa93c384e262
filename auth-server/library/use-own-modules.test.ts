import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { Provider } from 'oidc-provider'

test('what a request of the library knows is a value, not a getter that outlives it', async () => {
  const provider = new Provider('https://op.example')
  const seen: unknown[] = []
  provider.use(async (ctx, next) => {
    await next()
    const { value, get } = Object.getOwnPropertyDescriptor(ctx, 'oidc') ?? {}
    seen.push(value instanceof provider.OIDCContext, value?.route, value?.ctx === ctx, get)
  })
  provider.on('jwks.error', () => seen.push('error'))
  const server = createServer(provider.callback()).listen(0, '127.0.0.1')
  try {
    await once(server, 'listening')
    const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`)
    assert.equal(answer.status, 200)
    assert.deepEqual(seen, [true, 'jwks', true, undefined])
  } finally {
    server.close()
    server.closeAllConnections()
  }
})
