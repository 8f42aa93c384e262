import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { exchange } from '../testing/exchange.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { ThirdParty } from '../testing/third-party.ts'

/** Everything comes through a proxy that says from where. */
let server: TestServer
let acorn: ThirdParty
let brook: ThirdParty

before(async () => {
  server = await startTestServer({
    settings: {
      TRUSTED_PROXY_ADDRESSES: '127.0.0.1',
      RATE_LIMIT_ADDRESS: '4',
      RATE_LIMIT_CLIENT: '1',
      RATE_LIMIT_SIGN_IN: '1',
    },
  })
  acorn = await ThirdParty.register(server, 'tpp-acorn')
  brook = await ThirdParty.register(server, 'tpp-brook')
})
after(() => server.stop())

const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
const times = <Result>(count: number, work: (index: number) => Promise<Result>) =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)))
const cc = { grant_type: 'client_credentials', scope: 'accounts' }

test('PAR-05 UKDCR-19 a flood from one address is answered with 429 and Retry-After, in the words of the endpoint, and another address is served', async () => {
  const flood = await times(120, () => exchange(`${server.issuer}/par`, { ca: server.ca, form: {}, ...from('203.0.113.1') }))
  const refused = flood.filter(({ status }) => status === 429)
  assert.ok(refused.length >= 1 && refused.length <= 80, String(refused.length))
  for (const { headers, json } of refused) {
    assert.match(headers['retry-after'] ?? '', /^[1-9]\d*$/)
    assert.match(headers['cache-control'] ?? '', /no-store/)
    assert.deepEqual(Object.keys(json), ['error', 'error_description'])
    assert.equal(json['error'], 'temporarily_unavailable')
  }
  assert.equal((await exchange(`${server.issuer}/par`, { ca: server.ca, form: {}, ...from('203.0.113.2') })).status, 400)
})

test('PAR-05 proofs of payments, which read much, are limited as what hashes passwords is', async () => {
  const path = `${server.issuer}/connected-accounts/con_${'0'.repeat(32)}/proof`
  const statuses = (await times(20, () => exchange(path, { ca: server.ca, ...from('203.0.113.4') }))).map(({ status }) => status)
  assert.deepEqual([...new Set(statuses)].toSorted(), [303, 429])
})

test('PAR-05 what the caller itself writes before the proxy does not make it another', async () => {
  const statuses = await times(120, async (index) => {
    const headers = { 'x-forwarded-for': `198.51.100.${index}, 203.0.113.3` }
    return (await exchange(`${server.issuer}/token`, { ca: server.ca, form: {}, headers })).status
  })
  assert.ok(statuses.includes(429))
})

test('PAR-05 a client that asks too often is told so at PAR and at the token endpoint, and the other client is not', async () => {
  const push = (index: number) => acorn.push({}, from(`192.0.2.${index}`))
  const pushed = await times(40, push)
  const refused = pushed.filter(({ status }) => status === 429)
  assert.ok(refused.length >= 1, pushed.map(({ status }) => status).join(' '))
  for (const { headers, json } of refused) {
    assert.match(headers['retry-after'] ?? '', /^[1-9]\d*$/)
    assert.equal(json['error'], 'temporarily_unavailable')
  }
  const proof = { dpop: await acorn.proof(`${server.issuer}/token`), 'x-forwarded-for': '192.0.2.99' }
  assert.equal((await acorn.post('/token', cc, { headers: proof })).status, 429)
  const others = { dpop: await brook.proof(`${server.issuer}/token`), 'x-forwarded-for': '192.0.2.98' }
  assert.equal((await brook.post('/token', cc, { headers: others })).status, 200)
})

test('PAR-05 nobody uses up what a client has by its name: it counts when the client has shown who it is', async () => {
  const cobalt = await ThirdParty.register(server, 'tpp-cobalt')
  const forged = await times(30, async (index) =>
    exchange(`${server.issuer}/token`, {
      ca: server.ca,
      form: {
        ...cc,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await brook.assertion({ iss: 'tpp-cobalt', sub: 'tpp-cobalt' }),
      },
      ...from(`198.18.0.${index}`),
    }),
  )
  assert.deepEqual([...new Set(forged.map(({ status }) => status))], [401])
  const headers = { dpop: await cobalt.proof(`${server.issuer}/token`), 'x-forwarded-for': '198.18.1.1' }
  assert.equal((await cobalt.post('/token', cc, { headers })).status, 200)
})

test('PAR-05 an assertion that met a 429 is not used up', async () => {
  const dunmore = await ThirdParty.register(server, 'tpp-dunmore')
  let assertion = ''
  const send = (address: string) => dunmore.push({ client_assertion: assertion }, from(address))
  let answer: Awaited<ReturnType<typeof send>> | undefined
  for (let attempt = 0; attempt < 20 && answer?.status !== 429; attempt++) {
    await times(20, (index) => dunmore.push({}, from(`198.18.${100 + attempt}.${index}`)))
    assertion = await dunmore.assertion()
    answer = await send('198.18.3.1')
  }
  assert.equal(answer?.status, 429)
  for (let attempt = 0; attempt < 20 && answer?.status === 429; attempt++) {
    await new Promise((done) => setTimeout(done, 300))
    answer = await send(`198.18.4.${attempt}`)
  }
  // The request itself asks for nothing; who sent it was believed, once.
  assert.deepEqual([answer?.status, answer?.json['error']], [400, 'invalid_request'])
  for (let attempt = 0; attempt < 20 && answer?.status !== 401; attempt++) {
    await new Promise((done) => setTimeout(done, 300))
    answer = await send(`198.18.5.${attempt}`)
  }
  assert.deepEqual([answer?.status, answer?.json['error']], [401, 'invalid_client'])
})

test('a page says in words that there were too many requests, and sign-ins have less room than reading', async () => {
  const post = () =>
    exchange(`${server.issuer}/connected-accounts/sign-in`, {
      ca: server.ca,
      form: { username: 'nobody', password: 'x' },
      headers: { ...from('203.0.113.7').headers, accept: 'text/html', origin: server.issuer },
    })
  const answers = await times(30, post)
  const refused = answers.filter(({ status }) => status === 429)
  assert.ok(refused.length >= 1, answers.map(({ status }) => status).join(' '))
  assert.match(refused[0]?.text ?? '', /Please wait a moment/)
  assert.match(refused[0]?.headers['retry-after'] ?? '', /^[1-9]\d*$/)
  const page = await exchange(`${server.issuer}/connected-accounts/sign-in`, { ca: server.ca, ...from('203.0.113.7') })
  assert.equal(page.status, 200)
})
