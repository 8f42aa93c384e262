/** What an attacker could make large, many or deep: each has a limit with a name, and is refused in the words of the endpoint. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, mock, test } from 'node:test'
import { decodeJwt, SignJWT } from 'jose'
import { jwsAtMostLength } from './signatures/remembered-jose.ts'
import { exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let acorn: ThirdParty

before(async () => {
  server = await startTestServer()
  acorn = await ThirdParty.register(server, 'tpp-acorn')
})
after(() => server.stop())

const cc = { grant_type: 'client_credentials', scope: 'accounts' }
const nested = (depth: number, open = '[', close = ']') => open.repeat(depth) + close.repeat(depth)

const refusedPushes: readonly (readonly [string, Record<string, string>, string])[] = [
  ['claims of more than 4,096 characters', { claims: intentClaim('con_x', { acr: { values: ['x'.repeat(4_096)] } }) }, 'invalid_request'],
  ['claims that are deep', { claims: `{"id_token":{"a":${nested(8_000)}}}` }, 'invalid_request'],
  ['claims that are as deep as their length allows', { claims: `{"id_token":{"a":${nested(2_000)}}}` }, 'invalid_request'],
  ['claims as a deep object', { claims: `{"id_token":${`{"a":`.repeat(3_000)}1${'}'.repeat(3_000)}}` }, 'invalid_request'],
  [
    'authorization_details of more than 8,192 characters',
    { authorization_details: JSON.stringify([{ type: 'openbanking_consent', consent_id: 'x'.repeat(8_192) }]) },
    'invalid_authorization_details',
  ],
  [
    'authorization_details that are deep',
    { authorization_details: `[{"type":"openbanking_consent","x":${nested(8_000)}}]` },
    'invalid_authorization_details',
  ],
  [
    'many authorization_details',
    { authorization_details: JSON.stringify(Array(400).fill({ type: 'openbanking_consent', consent_id: 'con_x' })) },
    'invalid_authorization_details',
  ],
]

for (const [what, params, error] of refusedPushes)
  test(`PAR-05 ${what}: refused, and no fault of ours`, async () => {
    const faults = server.logged.length
    const answer = await acorn.push(params)
    assert.deepEqual([answer.status, answer.json['error']], [400, error], answer.text)
    assert.doesNotMatch(server.logged.slice(faults).join(''), /"msg":"fault"/)
  })

test('PAR-05 more than a hundred headers are 431, and a hundred are not', async () => {
  const headers = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-h${index}`, '1']))
  const ask = (count: number) => exchange(`${server.issuer}/par`, { ca: server.ca, form: {}, headers: headers(count) })
  assert.equal((await ask(120)).status, 431)
  assert.equal((await ask(2_000)).status, 431)
  assert.equal((await ask(90)).status, 400)
})

test('PAR-05 an assertion that is longer than any is refused without being looked at', async () => {
  const verified = mock.method(crypto.subtle, 'verify')
  try {
    const long = await acorn.assertion({ padding: 'x'.repeat(jwsAtMostLength) })
    const answer = await acorn.post('/token', { ...cc, client_assertion: long })
    assert.ok([400, 401].includes(answer.status), answer.text)
    assert.equal(verified.mock.callCount(), 0)
  } finally {
    verified.mock.restore()
  }
})

test('DPOP a proof that is longer than any is refused', async () => {
  const headers = { dpop: await acorn.proof(`${server.issuer}/token`, { padding: 'x'.repeat(20_000) }) }
  assert.equal((await acorn.post('/token', cc, { headers })).status, 431)
})

test('JAR-01 a request object that is longer than any is refused', async () => {
  const request = await new SignJWT({ padding: 'x'.repeat(jwsAtMostLength) }).setProtectedHeader({ alg: 'ES256' }).sign(acorn.signingKey)
  const answer = await acorn.post('/par', { client_id: acorn.clientId, request })
  assert.equal(answer.status, 400, answer.text)
  assert.ok(decodeJwt(request))
})

test('an assertion that does not say which key signed it costs a stranger three signatures, however many keys the client has', async () => {
  const keys = Array.from({ length: 10 }, (_, index) => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return { ...publicKey.export({ format: 'jwk' }), kid: `k${index}`, use: 'sig', alg: 'ES256' }
  })
  const brook = await ThirdParty.register(server, 'tpp-brook', { metadata: { jwks: { keys } } })
  const verified = mock.method(crypto.subtle, 'verify')
  try {
    const answer = await brook.post('/token', { ...cc, client_assertion: await brook.assertion({}, { kid: undefined }) })
    assert.deepEqual([answer.status, answer.json['error']], [401, 'invalid_client'])
    assert.equal(verified.mock.callCount(), 3)
  } finally {
    verified.mock.restore()
  }
})

test('a client with more than ten keys is not served', async () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keys = Array.from({ length: 11 }, (_, index) => ({
    ...publicKey.export({ format: 'jwk' }),
    kid: `k${index}`,
    use: 'sig',
    alg: 'ES256',
  }))
  const many = await ThirdParty.register(server, 'tpp-many-keys', { metadata: { jwks: { keys } } })
  const answer = await many.post('/token', cc)
  assert.deepEqual([answer.status, answer.json['error']], [401, 'invalid_client'])
})
