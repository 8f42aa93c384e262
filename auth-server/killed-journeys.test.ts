import { after, before, test } from 'node:test'
import { pushed } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import type { ServerProcesses } from './testing/server-processes.ts'
import { assertUsedOnce, type Killing, startKilling, timeout } from './testing/start-killing.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

let killing: Killing
let server: ServerProcesses
let ada: TestCustomer
let acorn: ThirdParty
/** Signed in once: what is killed here is not the sign-in. */
let one: CustomerAtBrowser
let other: CustomerAtBrowser

before(async () => {
  killing = await startKilling()
  server = killing.server
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
  one = await signedIn()
  other = await signedIn()
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

for (const [from, which] of ['even', 'odd'].entries())
  test(`PAR-06 FAPI2-AZ-15 a request_uri leads to one yes, whenever the process is killed, and a yes is not lost (${which} statements)`, {
    timeout,
  }, async () => {
    const succeeded = await killing.atEveryBoundary(
      async () => {
        const uri = await requestUri()
        const [page, otherPage] = [await one.open(acorn, uri), await other.open(acorn, uri)]
        const path = /action="(\/interaction\/[^"]+)"/.exec(page.text)?.[1] ?? ''
        const hasCode = async (answer: Answer) => {
          const code = URL.parse(answer.headers['location'] ?? '', server.issuer)?.searchParams.get('code')
          return code != null && (await ok(acorn.redeem(code)))
        }
        const agree = async (customer: CustomerAtBrowser, of: Answer) => hasCode(await customer.agree(of, ada.accounts.slice(0, 1)))
        return [
          () => agree(one, page),
          // By the back button first, then once more from the page that is still open.
          async () => hasCode(await one.browser.follow(await one.browser.get(path))),
          () => agree(one, page),
          () => agree(other, otherPage),
        ]
      },
      { from, step: 2 },
    )
    assertUsedOnce(succeeded)
  })
