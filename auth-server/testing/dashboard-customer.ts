import { freshCode, type TestCustomer } from './bank-fixtures.ts'
import { CustomerAtBrowser } from './browser.ts'
import type { Answer } from './exchange.ts'
import type { TestServer } from './test-server.ts'

/** A customer who is signed in to the dashboard, in a browser of their own. */
export async function signedInAtDashboard(server: TestServer, customer: TestCustomer): Promise<CustomerAtBrowser> {
  const at = new CustomerAtBrowser(server, customer)
  const signIn = await at.browser.follow(await at.browser.get('/connected-accounts'))
  const second = await at.submit(signIn, { username: customer.username, password: customer.password })
  await at.submit(second, { code: await freshCode(server, customer) })
  return at
}

/** The addresses of what waits for the customer, latest first. */
export async function waitingFor(at: CustomerAtBrowser): Promise<readonly string[]> {
  const { text } = await at.browser.get('/connected-accounts/requests')
  return [...text.matchAll(/href="(\/connected-accounts\/requests\/bar_[0-9a-f]{32})"/g)].map(([, href = '']) => href)
}

/** The page of the latest request. */
export async function openLatest(at: CustomerAtBrowser): Promise<Answer> {
  const [href = ''] = await waitingFor(at)
  return at.browser.get(href)
}
