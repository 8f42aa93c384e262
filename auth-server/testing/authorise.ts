import { lodgeAccounts, type TestCustomer } from './bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './browser.ts'
import type { Answer } from './exchange.ts'
import { intentClaim, type ThirdParty } from './third-party.ts'

export type Authorised = {
  readonly consentId: string
  readonly requestUri: string
  readonly response: Record<string, string>
  readonly code: string
  readonly customer: CustomerAtBrowser
}

/** The whole way to a code for an account access; with what the test says in the request. */
export async function authoriseAccounts(
  thirdParty: ThirdParty,
  customer: TestCustomer,
  params: Record<string, string | undefined> = {},
): Promise<Authorised> {
  const consentId = await lodgeAccounts(thirdParty.server, thirdParty.clientId)
  const requestUri = await pushed(thirdParty, { claims: intentClaim(consentId), ...params })
  const at = new CustomerAtBrowser(thirdParty.server, customer)
  const choose = await at.signIn(await at.open(thirdParty, requestUri))
  const response = responseOf(await at.agree(choose, customer.accounts.slice(0, 2)))
  return { consentId, requestUri, response, code: response['code'] ?? '', customer: at }
}

export async function pushed(thirdParty: ThirdParty, params: Record<string, string | undefined>): Promise<string> {
  const answer = await thirdParty.push(params)
  if (answer.status !== 201) throw new Error(`not pushed: ${answer.status} ${answer.text}`)
  return String(answer.json['request_uri'])
}

export async function authorisedTokens(thirdParty: ThirdParty, customer: TestCustomer): Promise<Authorised & { readonly tokens: Answer }> {
  const authorised = await authoriseAccounts(thirdParty, customer)
  return { ...authorised, tokens: await thirdParty.redeem(authorised.code) }
}

/** OAuth error and status, as one text to compare. */
export const refusal = ({ status, json }: Answer): string => `${status} ${json['error']}`
