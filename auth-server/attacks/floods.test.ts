import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { enterCustomer, lodgeAccounts, type TestCustomer } from '../testing/bank-fixtures.ts'
import { Browser, CustomerAtBrowser } from '../testing/browser.ts'
import { exchange } from '../testing/exchange.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { ThirdParty } from '../testing/third-party.ts'

/** Requests that cost more than they should, or are meant to bring the process down. Everything comes through a proxy that says from where. */
let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty

before(async () => {
  const settings = { TRUSTED_PROXY_ADDRESSES: '127.0.0.1', RATE_LIMIT_ADDRESS: '100', RATE_LIMIT_CLIENT: '1', RATE_LIMIT_SIGN_IN: '1' }
  server = await startTestServer({ settings })
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
})
after(() => server.stop())

const faults = () => server.logged.filter((line) => line.includes('"msg":"fault"'))
const from = (address: string) => ({ 'x-forwarded-for': address })
const times = <Result>(count: number, work: (index: number) => Promise<Result>) =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)))
const headerOf = ({ credential }: ThirdParty) => `:${credential.cert.replace(/-----[^-]+-----|\s/g, '')}:`

test('flood: an address that registers again and again has less room than one that reads (PAR-05 UKDCR-19)', async () => {
  const register = () =>
    exchange(`${server.mtlsIssuer}/register`, {
      ca: server.ca,
      body: '{}',
      headers: { 'content-type': 'application/json', authorization: 'Bearer guess', ...from('203.0.113.9') },
    })
  const statuses = (await times(30, register)).map(({ status }) => status)
  assert.ok(statuses.includes(401), statuses.join(' '))
  assert.ok(statuses.includes(429), statuses.join(' '))
  assert.equal((await exchange(`${server.issuer}/jwks`, { ca: server.ca, headers: from('203.0.113.9') })).status, 200)
})

test('flood: a client with a certificate of its own is limited as others are, and by nobody who only knows its name (PAR-05 MTLS-02)', async () => {
  const own = await ThirdParty.register(server, 'own-certificate', { authentication: 'self_signed_tls_client_auth', constraint: 'mtls' })
  const cc = { grant_type: 'client_credentials', scope: 'accounts', client_id: own.clientId }
  const send = (index: number, certificate: string) =>
    exchange(`${server.mtlsIssuer}/token`, {
      ca: server.ca,
      form: cc,
      headers: { ...from(`198.18.0.${index}`), 'client-cert': certificate },
    })
  const strangers = await times(30, (index) => send(index, headerOf(acorn)))
  assert.deepEqual([...new Set(strangers.map(({ status }) => status))], [401])
  assert.equal((await send(200, headerOf(own))).status, 200)
  const statuses = (await times(30, (index) => send(index, headerOf(own)))).map(({ status }) => status)
  assert.ok(statuses.includes(429), statuses.join(' '))
})

test('PAR-05 zero bytes: a client or customer whose name holds one is unknown, and no fault', async () => {
  const browser = new Browser(server)
  assert.equal((await browser.get('/auth?client_id=aco%00rn&request_uri=urn:ietf:params:oauth:request_uri:x')).status, 400)
  const client_assertion = await acorn.assertion({ iss: 'aco\0rn', sub: 'aco\0rn' })
  assert.equal(
    (await acorn.token({ grant_type: 'client_credentials', scope: 'accounts', client_assertion })).json['error'],
    'invalid_client',
  )
  const at = new CustomerAtBrowser(server, ada)
  const page = await at.browser.follow(await at.browser.get('/connected-accounts'))
  assert.match((await at.submit(page, { username: 'ad\0a', password: 'x' })).text, /Enter your username/)
  assert.deepEqual(faults(), [])
})

test('PAR-05 deep JSON: claims that are nested without end are refused, and no fault', async () => {
  const consentId = await lodgeAccounts(server, 'acorn')
  for (const depth of [2_000, 20_000]) {
    const deep = `{"openbanking_intent_id":{"value":"${consentId}"},"x":{"value":${'['.repeat(depth)}${']'.repeat(depth)}}}`
    const params = new URLSearchParams({ ...acorn.request(), ...(await acorn.authentication()) })
    const { status } = await exchange(acorn.endpoint('/par'), {
      ca: server.ca,
      body: `${params}&claims={"id_token":${deep}}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    assert.equal(status, 400)
  }
  assert.deepEqual(faults(), [])
})
