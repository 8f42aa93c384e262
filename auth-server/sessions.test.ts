import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, transact } from '@bankside/service-kit/postgres'
import { untilWaitingForLocks } from '@bankside/service-kit/test-lock-waits'
import { authoriseAccounts, authorisedTokens, pushed } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, formOf, responseOf } from './testing/browser.ts'
import { rewritePayloads } from './testing/stored-payloads.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

const sessionCookie = '__Host-bankside_session'
let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
})
after(() => server.stop())

async function beginAccess(customer: CustomerAtBrowser) {
  const consentId = await lodgeAccounts(server, 'acorn')
  return customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) }))
}

/** The version of the only row there is, and how long it lives from now. */
const readSession = async () =>
  (await server.owner.one(sql.unsafe`
    select xmin::text as version, extract(epoch from expires_at - now())::int as seconds from oidc.session`)) as {
    version: string
    seconds: number
  }

async function growOlder(seconds: number): Promise<void> {
  await server.owner.query(sql.unsafe`update oidc.session set expires_at = expires_at - make_interval(secs => ${seconds})`)
  await rewritePayloads(server, 'Session', (payload) => ({ ...payload, exp: (payload.exp ?? 0) - seconds }))
}

test('CX-11 a session that is used lasts on; it is written only when half a minute of it is gone', async () => {
  const { customer } = await authoriseAccounts(acorn, ada)
  const first = await readSession()
  const choose = await beginAccess(customer)
  assert.match(choose.text, /Share account information/)
  assert.equal((await readSession()).version, first.version, 'nothing to write yet')

  await growOlder(60)
  await customer.browser.get(formOf(choose).action)
  const lasting = await readSession()
  assert.ok(lasting.seconds > 290 && lasting.seconds <= 300, `${lasting.seconds} s left`)

  await growOlder(60)
  await beginAccess(customer)
  assert.ok((await readSession()).seconds > 290, 'the library too keeps it alive')
  await growOlder(300)
  assert.match((await beginAccess(customer)).text, /Sign in/)
})

test('ATK-04 each authorization gives the session another handle; the one before opens nothing', async () => {
  const { customer } = await authoriseAccounts(acorn, ada)
  const stolen = [sessionCookie, `${sessionCookie}.sig`].map((name) => customer.browser.cookie(name))
  const rows = () =>
    server.owner.oneFirst(sql.unsafe`select count(*)::int as n from oidc.session where payload like ${`%${ada.customerId}%`}`)
  const before = await rows()
  responseOf(await customer.agree(await beginAccess(customer), ada.accounts.slice(0, 1)))
  assert.equal(await rows(), before, 'in the place of the one before, not beside it')
  const thief = new CustomerAtBrowser(server, ada)
  for (const cookie of stolen) if (cookie !== undefined) thief.browser.put(cookie)
  assert.match((await beginAccess(thief)).text, /Sign in/)
  assert.match((await beginAccess(customer)).text, /Share account information/)
})

test('LOGOUT-04 a page that is opened while its session ends does not bring it back: it is over, and stays so', async () => {
  await server.owner.query(sql.unsafe`delete from oidc.session`)
  const { customer, tokens } = await authorisedTokens(acorn, ada)
  const choose = await beginAccess(customer)
  const tab = customer.beside()
  await growOlder(60)
  const [ending, opening] = await transact(server.owner, async (tx) => {
    await tx.query(sql.unsafe`select from oidc.session for update`)
    const ending = customer.browser.get(`/session/end?${new URLSearchParams({ id_token_hint: String(tokens.json['id_token']) })}`)
    await untilWaitingForLocks(server.owner, 1)
    const opening = tab.browser.get(formOf(choose).action)
    await untilWaitingForLocks(server.owner, 2)
    return [ending, opening] as const
  })
  await ending
  assert.deepEqual([(await opening).status, await server.owner.anyFirst(sql.unsafe`select uid from oidc.session`)], [400, []])
  assert.match((await beginAccess(tab)).text, /Sign in/)
})
