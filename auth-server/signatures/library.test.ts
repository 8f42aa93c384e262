import assert from 'node:assert/strict'
import { after, before, mock, test } from 'node:test'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { ThirdParty } from '../testing/third-party.ts'

let server: TestServer

before(async () => {
  server = await startTestServer()
})
after(() => server.stop())

test('the library verifies assertions and proofs with keys that are ready, and signs with one', async () => {
  const acorn = await ThirdParty.register(server, 'tpp-acorn')
  const token = () => acorn.token({ grant_type: 'client_credentials', scope: 'accounts' })
  assert.equal((await token()).status, 200)
  const verified = mock.method(crypto.subtle, 'verify')
  try {
    assert.equal((await token()).status, 200)
    assert.equal(verified.mock.callCount(), 0)
  } finally {
    verified.mock.restore()
  }
})
