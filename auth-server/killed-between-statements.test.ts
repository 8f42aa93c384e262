/**
 * A server process is killed with -9 after each statement of an act in turn, before its answer arrives. Then a fresh process is
 * asked again, in the same words and in others. What was used is never usable again; what may be repeated still is.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorisedTokens, pushed } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { CibaClient, intent } from './testing/ciba-client.ts'
import { openLatest, signedInAtDashboard } from './testing/dashboard-customer.ts'
import type { Answer } from './testing/exchange.ts'
import type { ServerProcesses } from './testing/server-processes.ts'
import { assertUsedOnce, type Killing, startKilling, timeout } from './testing/start-killing.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

const cc = { grant_type: 'client_credentials', scope: 'accounts' }

let killing: Killing
let server: ServerProcesses
let ada: TestCustomer
let acorn: ThirdParty
let birch: CibaClient
/** Signed in once: what is killed here is not the sign-in. */
let customer: CustomerAtBrowser
let atDashboard: CustomerAtBrowser

before(async () => {
  killing = await startKilling()
  server = killing.server
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
  birch = await CibaClient.register(server, 'birch')
  customer = await signedIn()
  atDashboard = await signedInAtDashboard(server, ada)
})
after(() => killing.stop())

async function signedIn(): Promise<CustomerAtBrowser> {
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.open(acorn, await requestUri()))
  await customer.agree(page, ada.accounts.slice(0, 1))
  return customer
}

const requestUri = async () => pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) })

const ok = async (answer: Promise<Answer>) => (await answer).status < 300

test('FAPI2-AZ-09 a code that was used is used, whenever the process is killed', { timeout }, async () => {
  assertUsedOnce(
    await killing.atEveryBoundary(async () => {
      const { code = '' } = responseOf(await customer.agree(await customer.open(acorn, await requestUri()), ada.accounts.slice(0, 1)))
      const [client_assertion, dpop] = [await acorn.assertion(), await acorn.proof(acorn.endpoint('/token'))]
      const same = () => ok(acorn.redeem(code, { client_assertion }, { headers: { dpop } }))
      return [same, same, () => ok(acorn.redeem(code)), () => ok(acorn.redeem(code))]
    }),
  )
})

test('FAPI2-CR-01 DPOP-03 an assertion and a proof that were used are used, whenever the process is killed', { timeout }, async () => {
  assertUsedOnce(
    await killing.atEveryBoundary(async () => {
      const [client_assertion, dpop] = [await acorn.assertion(), await acorn.proof(acorn.endpoint('/token'))]
      const same = () => ok(acorn.token({ ...cc, client_assertion }, { headers: { dpop } }))
      return [same, same, same]
    }),
  )
})

test('PAR-02 an assertion that pushed a request pushes no other, whenever the process is killed', { timeout }, async () => {
  assertUsedOnce(
    await killing.atEveryBoundary(async () => {
      const [client_assertion, claims] = [await acorn.assertion(), intentClaim(await lodgeAccounts(server, 'acorn'))]
      const same = () => ok(acorn.push({ claims, client_assertion }))
      return [same, same, same]
    }),
  )
})

test('CIBA-09 an auth_req_id that was used is used, whenever the process is killed', { timeout }, async () => {
  assertUsedOnce(
    await killing.atEveryBoundary(async () => {
      const id = await birch.asked({ login_hint: ada.username, ...intent(await lodgeAccounts(server, 'birch')) })
      await atDashboard.agree(await openLatest(atDashboard), ada.accounts.slice(0, 1))
      const client_assertion = await birch.thirdParty.assertion()
      const poll = () => ok(birch.poll(id))
      return [() => ok(birch.poll(id, { client_assertion })), () => ok(birch.poll(id, { client_assertion })), poll, poll]
    }),
  )
})

test('FAPI2-AS-09 a refresh whose answer is lost may be repeated, whenever the process is killed: no consent is lost', {
  timeout,
}, async () => {
  const { tokens } = await authorisedTokens(acorn, ada)
  const refresh = () => ok(acorn.refresh(String(tokens.json['refresh_token'])))
  const succeeded = await killing.atEveryBoundary(async () => [refresh, refresh, refresh])
  assert.ok(succeeded.length > 2)
  assert.deepEqual(succeeded, [...succeeded.slice(1).map(() => 2), 3])
})
