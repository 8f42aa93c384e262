import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { allowRegistration } from '@bankside/bank/clients/initial-access-token'
import { transact } from '@bankside/service-kit/postgres'
import { exportJWK, generateKeyPair } from 'jose'
import { openKeySets } from './client-keys/key-sets.ts'
import { handleHash } from './storage/handle-hash.ts'
import { Applicant } from './testing/applicant.ts'
import { refusal } from './testing/authorise.ts'
import { exchange } from './testing/exchange.ts'
import { TestDirectory } from './testing/test-directory.ts'
import { startTestServer, type TestServerInside } from './testing/test-server.ts'
import { redirectUri, type ThirdParty } from './testing/third-party.ts'

let server: TestServerInside
let directory: TestDirectory

before(async () => {
  server = await startTestServer({
    settings: async (authority) => {
      directory = await TestDirectory.start(authority)
      return directory.settings()
    },
  })
})
after(async () => {
  await server.stop()
  directory.stop()
})

const cc = { grant_type: 'client_credentials', scope: 'accounts' }
const pathOf = ({ software }: Applicant) => `/software/${software.softwareId}/jwks`
const askedFor = (applicant: Applicant) => directory.asked.filter((path) => path === pathOf(applicant)).length

async function client(name: string): Promise<{ applicant: Applicant; thirdParty: ThirdParty }> {
  const applicant = await Applicant.enrol(server, directory, name)
  const answer = await applicant.register()
  assert.equal(answer.status, 201, answer.text)
  return { applicant, thirdParty: await applicant.asClient(answer.json['client_id']) }
}

const withKid = async (thirdParty: ThirdParty, kid: string, signingKey = thirdParty.signingKey) => {
  const other = Object.assign(Object.create(thirdParty) as ThirdParty, { signingKey })
  return other.post('/token', { ...cc, client_assertion: await other.assertion({}, { kid }) })
}

test('CERT-14 FAPI2-CR-07 keys that are published at an address are asked for once, and serve many requests', async () => {
  const { applicant, thirdParty } = await client('Often')
  for (let round = 0; round < 5; round++) assert.equal((await thirdParty.token(cc)).status, 200)
  assert.equal(askedFor(applicant), 1)
})

test('CERT-14 DCR-06 a program may publish its keys at an address too, which is asked when it registers', async () => {
  const token = randomBytes(32).toString('base64url')
  const now = new Date()
  const scopes = ['openid', 'accounts']
  await transact(server.owner, (tx) =>
    allowRegistration(tx, { tokenHash: handleHash(token), note: 'x', scopes, uses: 9, expiresAt: new Date(now.getTime() + 60_000), now }),
  )
  const register = (jwks_uri: string) =>
    exchange(`${server.mtlsIssuer}/register`, {
      ca: server.ca,
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({
        client_name: 'Program',
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: 'private_key_jwt',
        grant_types: ['authorization_code', 'client_credentials'],
        tls_client_certificate_bound_access_tokens: true,
        scope: 'openid accounts',
        jwks_uri,
      }),
    })
  const applicant = await Applicant.enrol(server, directory, 'Program')
  assert.equal(refusal(await register(`${directory.origin}/nothing`)), '400 invalid_client_metadata')
  const answer = await register(`${directory.origin}${pathOf(applicant)}`)
  assert.equal(answer.status, 201, answer.text)
  assert.equal((await (await applicant.asClient(answer.json['client_id'])).token(cc)).status, 200)
})

test('CERT-14 a flood of unknown key ids becomes no flood of requests', async () => {
  const { applicant, thirdParty } = await client('Flood')
  await thirdParty.token(cc)
  const before = askedFor(applicant)
  const answers = await Promise.all(Array.from({ length: 30 }, (_, index) => withKid(thirdParty, `unknown-${index}`)))
  assert.ok(answers.every(({ status }) => status === 401))
  assert.ok(askedFor(applicant) - before <= 1, `${askedFor(applicant) - before} requests`)
  assert.equal((await thirdParty.token(cc)).status, 200)
})

test('CERT-14 a client goes on with the last keys that were got while its directory is down', async () => {
  const { thirdParty } = await client('Outage')
  directory.answers = (response) => response.destroy()
  try {
    assert.equal((await withKid(thirdParty, 'unknown')).status, 401)
    assert.equal((await thirdParty.token(cc)).status, 200)
  } finally {
    directory.answers = undefined
  }
})

/** Key sets over the same database at a time of the test's own. */
function at(start: number, asked: string[], answer: () => string | Error) {
  const time = { now: start }
  const sets = openKeySets({
    database: server.owner,
    clock: { now: () => new Date(time.now) },
    log: { warn: () => {} } as never,
    async fetch(url) {
      asked.push(String(url))
      const text = answer()
      if (text instanceof Error) throw text
      return new Response(text)
    },
  })
  return { sets, pass: (ms: number) => (time.now += ms) }
}

const minute = 60_000
const key = async (kid: string) => ({
  ...(await exportJWK((await generateKeyPair('ES256', { extractable: true })).publicKey)),
  kid,
  use: 'sig',
})
const kids = async (sets: ReturnType<typeof openKeySets>, uri: string) => (await sets.current(uri)).keys.map(({ kid }) => kid)
const settled = () => new Promise((done) => setTimeout(done, 100))

test('CERT-14 an unknown key id is asked after, at most every ten seconds; a withdrawn key lives five minutes', async () => {
  const uri = 'https://third-party.example/rotating'
  const asked: string[] = []
  let published = JSON.stringify({ keys: [await key('old')] })
  const { sets, pass } = at(Date.now(), asked, () => published)
  assert.deepEqual(await kids(sets, uri), ['old'])
  published = JSON.stringify({ keys: [await key('new')] })
  await sets.askAgain(uri)
  assert.deepEqual([asked.length, await kids(sets, uri)], [1, ['old']])
  pass(10_000)
  await sets.askAgain(uri)
  assert.deepEqual([asked.length, await kids(sets, uri)], [2, ['new']])
  published = JSON.stringify({ keys: [await key('newest')] })
  pass(5 * minute + 1)
  await sets.current(uri)
  await settled()
  assert.deepEqual([asked.length, await kids(sets, uri)], [3, ['newest']])
})

test('CERT-14 an answer that is an error or nonsense takes no key away', async () => {
  const uri = 'https://third-party.example/nonsense'
  const good = JSON.stringify({ keys: [await key('good')] })
  const asked: string[] = []
  let answer: string | Error = good
  const { sets, pass } = at(Date.now(), asked, () => answer)
  await sets.current(uri)
  const wrong = [new Error('down'), '', 'not json', 'null', '[]', '{"keys":"none"}']
  for (const each of wrong) {
    answer = each
    pass(10_000)
    await sets.askAgain(uri)
    assert.deepEqual(await kids(sets, uri), ['good'], String(each))
  }
  assert.equal(asked.length, 1 + wrong.length)
})

test('CERT-14 keys outlive a restart of ours while their address is down, but not for ever', async () => {
  const uri = 'https://third-party.example/down'
  const start = Date.now()
  const text = JSON.stringify({ keys: [await key('kept')] })
  await at(start, [], () => text).sets.current(uri)
  const asked: string[] = []
  const { sets, pass } = at(start + 60 * minute, asked, () => new Error('down'))
  assert.deepEqual(await kids(sets, uri), ['kept'])
  await settled()
  assert.equal(asked.length, 1)
  pass(7 * 24 * 60 * minute)
  await assert.rejects(sets.current(uri))
})

test('CERT-14 of many that come while nothing is known, one asks', async () => {
  const asked: string[] = []
  const { sets } = at(Date.now(), asked, () => new Error('down'))
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => sets.current('https://third-party.example/never')))
  assert.ok(outcomes.every(({ status }) => status === 'rejected'))
  assert.equal(asked.length, 1)
})

test('FAPI2-CR-04 FAPI2-CR-05 FAPI2-CR-01 keys that are weak, symmetric, private or for something else are not among those that verify', async () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const good = await key('good')
  const bad = [
    { ...publicKey.export({ format: 'jwk' }), kid: 'small' },
    { kty: 'oct', k: 'c2VjcmV0', kid: 'symmetric' },
    { ...good, kid: 'private', d: 'x' },
    { ...good, kid: 'encryption', use: 'enc' },
    { ...good, kid: 'rs256', alg: 'RS256' },
    null,
    'x',
  ]
  const { sets } = at(Date.now(), [], () => JSON.stringify({ keys: [...bad, good] }))
  assert.deepEqual(await kids(sets, 'https://third-party.example/mixed'), ['good'])
})

test('FAPI2-CR-08 of two published keys with one id, the one that fits verifies', async () => {
  const applicant = await Applicant.enrol(server, directory, 'Twins')
  const [unpublished, other] = [await generateKeyPair('PS256'), await generateKeyPair('PS256', { extractable: true })]
  directory.publishKeys(applicant.software, [await applicant.publicKey('first', other), await applicant.publicKey('first')])
  const { json } = await applicant.register()
  const thirdParty = await applicant.asClient(json['client_id'])
  const statuses = [await thirdParty.token(cc), await withKid(thirdParty, 'first', other.privateKey)].map(({ status }) => status)
  assert.deepEqual(statuses, [200, 200])
  assert.equal((await withKid(thirdParty, 'first', unpublished.privateKey)).status, 401)
})

test('FAPI2-CR-07 the address of a key in an assertion is not asked', async () => {
  const { thirdParty } = await client('Header')
  const evil = `${directory.origin}/evil`
  const own = await generateKeyPair('PS256', { extractable: true })
  const forged = Object.assign(Object.create(thirdParty) as ThirdParty, { signingKey: own.privateKey })
  for (const header of [{ jku: evil }, { x5u: evil }, { jwk: await exportJWK(own.publicKey) }]) {
    const answer = await forged.post('/token', { ...cc, client_assertion: await forged.assertion({}, header) })
    assert.equal(refusal(answer), '401 invalid_client')
  }
  assert.ok(!directory.asked.includes('/evil'))
})
