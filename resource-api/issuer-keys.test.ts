import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Unavailable } from '@bankside/service-kit/refusal'
import { createTlsServer, drain, listen } from '@bankside/service-kit/tls-server'
import { type IssuerKeys, openIssuerKeys } from './issuer-keys.ts'
import { startTestIssuer, type TestIssuer } from './testing/test-issuer.ts'

let issuer: TestIssuer
const opened: IssuerKeys[] = []
const clock = { ms: 1_000_000, now: () => new Date(clock.ms) }
const failures: unknown[] = []

before(async () => {
  issuer = await startTestIssuer()
})
after(async () => {
  for (const keys of opened) keys.close()
  await issuer.close()
})

function open(url: string, ca = issuer.ca): IssuerKeys {
  const keys = openIssuerKeys({ url, ca, clock, onRefreshFailed: (error) => failures.push(error) })
  opened.push(keys)
  return keys
}
const find = async (keys: IssuerKeys, kid: string) => keys.find({ alg: 'ES256', kid }, { payload: '', signature: '' })

async function serve(
  answer: (respond: (status: number, body: string) => void) => void,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const server = createTlsServer({ certificates: [issuer.serverCertificate], requestClientCertificate: false }, (_request, response) =>
    answer((status, body) => response.writeHead(status).end(body)),
  )
  const port = await listen(server, { port: 0, address: '127.0.0.1' })
  return { url: `https://localhost:${port}/jwks`, stop: () => drain(server, { limitMs: 100 }) }
}

test('FAPI2-CR-07 the set is fetched over TLS from a server of the configured authority only', async () => {
  const other = await startTestIssuer()
  await assert.rejects(open(issuer.jwksUri, other.ca).load(), Unavailable)
  await other.close()
})

for (const [label, status, body] of [
  ['an error', 500, '{"keys":[]}'],
  ['a redirect', 302, '{"keys":[]}'],
  ['not JSON', 200, '<html>'],
  ['JSON without keys', 200, '{}'],
  ['null', 200, 'null'],
  ['far too much', 200, `{"keys":[${'"x",'.repeat(40_000)}""]}`],
] as const)
  test(`a set that is ${label} is none: unavailable until there is one`, async () => {
    const { url, stop } = await serve((respond) => respond(status, body))
    await assert.rejects(open(url).load(), Unavailable)
    await stop()
  })

test('a symmetric key and a key for encryption in the set are never used', async () => {
  const { url, stop } = await serve((respond) =>
    respond(
      200,
      JSON.stringify({
        keys: [
          { kty: 'oct', k: 'AAAA', kid: 'a' },
          { kty: 'EC', use: 'enc', kid: 'b' },
        ],
      }),
    ),
  )
  const keys = open(url)
  for (const kid of ['a', 'b']) await assert.rejects(find(keys, kid), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
  await stop()
})

test('keys that were fetched once survive the server; a key id that it does not know is no reason to forget them', async () => {
  const { url, stop } = await serve((respond) => respond(200, JSON.stringify({ keys: [known] })))
  const known = {
    kty: 'EC',
    crv: 'P-256',
    kid: 'one',
    use: 'sig',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  }
  const keys = open(url)
  assert.ok(await find(keys, 'one'))
  assert.equal(keys.generation(), 1)
  await stop()
  clock.ms += 60_000
  await assert.rejects(find(keys, 'two'), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
  assert.equal(failures.length, 1)
  assert.ok(await find(keys, 'one'))
  assert.equal(keys.generation(), 1)
})

test('before the first set, requests do not each ask for it', async () => {
  let asked = 0
  const { url, stop } = await serve((respond) => {
    asked++
    respond(503, '')
  })
  const keys = open(url)
  await Promise.all(Array.from({ length: 10 }, () => assert.rejects(find(keys, 'x'), Unavailable)))
  await assert.rejects(find(keys, 'x'), Unavailable)
  assert.equal(asked, 1)
  await stop()
})
