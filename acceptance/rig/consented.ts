import assert from 'node:assert/strict'
import type { Screen, Wishes } from '../customer/screen.ts'
import type { DemoCustomer } from '../sandbox/description.ts'
import type { Answer } from '../third-party/answer.ts'
import type { AuthorizationRequest, StartedAuthorization, ThirdParty, Tokens } from '../third-party/third-party.ts'
import { type AccessWish, aisp, lodgeAccountAccess, lodgePayment, type PaymentBody, paymentBody } from '../third-party/uk-open-banking.ts'
import { hasSterling, type Rig, sterlingOf } from './rig.ts'

/** A consent that a customer gave, and what came of it. */
export type Consented = {
  readonly thirdParty: ThirdParty
  readonly person: DemoCustomer
  readonly consentId: string
  readonly tokens: Tokens
  readonly started: StartedAuthorization
  readonly callback: URL
  readonly screens: readonly Screen[]
}

export type NamedBy = NonNullable<AuthorizationRequest['intent']>['namedBy']
export type Sharing = {
  clientId?: string
  person?: DemoCustomer
  access?: AccessWish
  namedBy?: NamedBy
  wishes?: Wishes
  parameters?: Record<string, string>
}

/** A customer shares accounts with a third party; without wishes, all of them. */
export async function shareAccounts(rig: Rig, sharing: Sharing = {}): Promise<Consented> {
  const thirdParty = await rig.thirdParty(sharing.clientId ?? 'tpp-pkjwt-dpop')
  const lodged = await lodgeAccountAccess(thirdParty, sharing.access)
  assert.equal(lodged.status, 201, lodged.text)
  const consentId = lodged.textAt('Data.ConsentId')
  const person = sharing.person ?? rig.someone()
  return await authorise(rig, thirdParty, person, { consentId, scope: 'openid accounts', ...sharing })
}

export type Paying = { clientId?: string; person?: DemoCustomer; body?: PaymentBody; namedBy?: NamedBy; wishes?: Wishes; key?: string }
export type AgreedPayment = Consented & { readonly body: PaymentBody }

/** A customer agrees to a payment, to another demo customer if nothing else is said. */
export async function agreePayment(rig: Rig, paying: Paying = {}): Promise<AgreedPayment> {
  const thirdParty = await rig.thirdParty(paying.clientId ?? 'tpp-tls-dpop')
  const person = paying.person ?? rig.someone(hasSterling)
  const body = paying.body ?? somePayment(rig, { from: person })
  const lodged = await lodgePayment(thirdParty, body, paying.key)
  assert.equal(lodged.status, 201, lodged.text)
  const consentId = lodged.textAt('Data.ConsentId')
  const wishes = { choose: () => [sterlingOf(person).id], ...paying.wishes }
  return { ...(await authorise(rig, thirdParty, person, { consentId, scope: 'openid payments', ...paying, wishes })), body }
}

export function somePayment(
  { description }: Pick<Rig, 'description'>,
  { from, to, amount = '10.00' }: { from: DemoCustomer; to?: DemoCustomer; amount?: string },
): PaymentBody {
  const payee = to ?? description.customers.find((customer) => customer !== from && hasSterling(customer))
  if (payee === undefined) throw new Error('nobody to pay')
  return paymentBody({
    amount,
    currency: 'GBP',
    creditor: { name: 'Riverside Rentals', account: sterlingOf(payee) },
    remittance: 'Deposit',
  })
}

type Authorising = { consentId: string; scope: string; namedBy?: NamedBy; wishes?: Wishes; parameters?: Record<string, string> }

export async function authorise(
  rig: Rig,
  thirdParty: ThirdParty,
  person: DemoCustomer,
  { consentId, scope, namedBy = 'claims', wishes, parameters }: Authorising,
): Promise<Consented> {
  const started = await thirdParty.start({ scope, intent: { consentId, namedBy }, ...(parameters ? { parameters } : {}) })
  const { screens, callback } = await rig.customer(person).authorise(started.url, wishes)
  assert.ok(callback, `the customer did not come back: ${screens.at(-1)?.status} ${screens.at(-1)?.text.slice(0, 400)}`)
  const tokens = await thirdParty.redeem(started, callback)
  return { thirdParty, person, consentId, tokens, started, callback, screens }
}

/** Reads an account information resource with the token of a consent. */
export const read = ({ thirdParty, tokens }: Pick<Consented, 'thirdParty' | 'tokens'>, path: string): Promise<Answer> =>
  thirdParty.call(tokens.access_token, 'GET', aisp(thirdParty, path))

/** The interim available balance in minor units. */
export async function availableMinor(consented: Consented, accountId: string): Promise<bigint> {
  const answer = await read(consented, `/accounts/${accountId}/balances`)
  const balance = answer.listAt('Data.Balance').find((each) => each.at('Type') === 'ITAV')
  assert.ok(balance, answer.text)
  const minor = BigInt(balance.textAt('Amount.Amount').replace('.', ''))
  return balance.at('CreditDebitIndicator') === 'Debit' ? -minor : minor
}
