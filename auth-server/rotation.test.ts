/** Keys and secrets change under real processes while a third party goes on as if nothing were. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '@bankside/service-kit/free-ports'
import { decodeProtectedHeader, type JWK } from 'jose'
import { rotateKeys } from '../sandbox/key-rotation.ts'
import { authoriseAccounts, pushed } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { type Answer, exchange } from './testing/exchange.ts'
import { type ServerProcesses, startServerProcesses } from './testing/server-processes.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

/** A resource API that meets a key it does not know asks for the set again ten seconds after it last did. */
const aheadSeconds = 12
const keptSeconds = 8

let server: ServerProcesses
let ada: TestCustomer
let acorn: ThirdParty
let resourceApi: { readonly child: ChildProcess; readonly origin: string }

before(async () => {
  const port = await freePorts(2)
  const origin = `https://localhost:${port}`
  const audiences = { UK_AUDIENCE: `${origin}/open-banking`, BANK_AUDIENCE: `${origin}/api/v1` }
  server = await startServerProcesses(2, audiences)
  resourceApi = { child: await startResourceApi(port, { ...audiences, RESOURCE_API: origin }), origin }
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
})
after(async () => {
  resourceApi?.child.kill('SIGKILL')
  await server?.stop()
})

async function startResourceApi(port: number, environment: Record<string, string>): Promise<ChildProcess> {
  const { ca, cert, key } = server.files
  const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'resource-api', 'main.ts')], {
    env: {
      ...{ ...environment, ISSUER: server.issuer, JWKS_URI: `${server.issuer}/jwks`, ISSUER_CA_FILE: ca, CLIENT_CA_FILE: ca },
      ...{ RESOURCE_API_PORT: `${port}`, OPERATIONS_PORT: `${port + 1}`, LISTEN_ADDRESS: '127.0.0.1' },
      ...{ TLS_RSA_KEY_FILE: key, TLS_RSA_CERT_FILE: cert, TLS_EC_KEY_FILE: key, TLS_EC_CERT_FILE: cert },
      DATABASE_URL: server.database.resourceApiUrl,
    },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const ended = once(child, 'exit').then(() => assert.fail('the resource API did not start'))
  await Promise.race([once(child, 'message'), ended])
  return child
}

async function readAccounts(accessToken: string): Promise<Answer> {
  const url = `${resourceApi.origin}/open-banking/v4.0/aisp/accounts`
  const ath = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(accessToken))).toString('base64url')
  const dpop = await acorn.proof(url, { htm: 'GET', ath })
  return exchange(url, { ca: server.ca, credential: acorn.credential, headers: { authorization: `DPoP ${accessToken}`, dpop } })
}

const publishedKids = async (): Promise<string[]> =>
  ((await exchange(`${server.issuer}/jwks`, { ca: server.ca })).json['keys'] as JWK[]).map(({ kid }) => kid ?? '')

const kidOf = (answer: Answer) => decodeProtectedHeader(String(answer.json['access_token'])).kid

test('FAPI2-CR-09 OIDC-09 keys rotate through their whole cycle under two processes, and nobody meets an error', async () => {
  const before = await publishedKids()
  const held = new CustomerAtBrowser(server, ada)
  const consentId = await lodgeAccounts(server, 'acorn')
  const openPage = await held.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) }))
  const first = await authoriseAccounts(acorn, ada)
  const tokens = await acorn.redeem(first.code)
  assert.equal((await readAccounts(String(tokens.json['access_token']))).status, 200)

  const rotated = await rotateKeys(server.files, { now: new Date(), aheadSeconds, keptSeconds })
  assert.ok(rotated)
  const kids = { signed: new Set<string | undefined>(), published: new Set<string>() }
  let rounds = 0
  let heldResponse: Record<string, string> | undefined
  for (const end = rotated.retiredAt.getTime() + 7_000; Date.now() < end; rounds++) {
    const flow = await authoriseAccounts(acorn, ada)
    const answers = [await acorn.redeem(flow.code), await acorn.refresh(String(tokens.json['refresh_token']))]
    for (const answer of answers) {
      assert.equal(answer.status, 200, answer.text)
      kids.signed.add(kidOf(answer))
      assert.ok((await publishedKids()).includes(kidOf(answer) ?? ''), 'it is signed with a key that is published')
      const read = await readAccounts(String(answer.json['access_token']))
      assert.equal(read.status, 200, read.text)
    }
    for (const kid of await publishedKids()) kids.published.add(kid)
    // A page that was open and a cookie that was set before the new keys signed are as good as they were.
    if (kids.signed.size === 2) heldResponse ??= responseOf(await held.agree(await held.signIn(openPage), ada.accounts.slice(0, 1)))
    await sleep(200)
  }
  assert.ok(rounds > 5, `${rounds} rounds`)
  assert.deepEqual([...kids.signed].length, 2, 'both the old and the new key signed')
  assert.deepEqual(await publishedKids().then((left) => left.toSorted()), [...rotated.kids].toSorted(), 'the old ones are gone')
  assert.deepEqual([...kids.published].toSorted(), [...before, ...rotated.kids].toSorted())
  assert.ok(heldResponse?.['code'])
  assert.deepEqual(
    server.logged.filter((line) => /"level":(50|60)/.test(line)),
    [],
  )
})
