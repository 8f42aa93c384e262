import assert from 'node:assert/strict'
import type { Wishes } from '../customer/screen.ts'
import type { DemoCustomer } from '../sandbox/description.ts'
import type { Answer } from '../third-party/answer.ts'
import type { ThirdParty } from '../third-party/third-party.ts'
import { newKey } from '../third-party/uk-open-banking.ts'
import type { Consented } from './consented.ts'
import { type Rig, sterlingOf } from './rig.ts'

export const everyScope = 'openid profile accounts:read transactions:read payments:write beneficiaries:read beneficiaries:write'
export type AppSession = Omit<Consented, 'consentId'>

/** The bank's own app: the customer signs in, nothing is shared with anybody. */
export async function signInToApp(
  rig: Rig,
  person: DemoCustomer,
  options: { scope?: string; parameters?: Record<string, string>; wishes?: Wishes } = {},
): Promise<AppSession> {
  const thirdParty = await rig.thirdParty('bank-app')
  const started = await thirdParty.start({ scope: options.scope ?? everyScope, parameters: options.parameters ?? {} })
  const { screens, callback } = await rig.customer(person).authorise(started.url, options.wishes)
  assert.ok(callback, `the customer did not come back: ${screens.at(-1)?.status} ${screens.at(-1)?.text.slice(0, 400)}`)
  return { thirdParty, person, started, callback, screens, tokens: await thirdParty.redeem(started, callback) }
}

export type Transfer = {
  source_account_id: string
  destination_account_id: string
  amount_cents: number
  currency: string
  description: string
}

export function someTransfer(from: DemoCustomer, to: DemoCustomer, amountCents: number): Transfer {
  return {
    source_account_id: sterlingOf(from).id,
    destination_account_id: sterlingOf(to).id,
    amount_cents: amountCents,
    currency: 'GBP',
    description: 'Rent share',
  }
}

/** A new authorization for exactly this transfer (RFC 9470 step-up with RFC 9396 details). */
export async function stepUp(rig: Rig, person: DemoCustomer, transfer: Transfer, wishes?: Wishes): Promise<AppSession> {
  const amount = `${Math.floor(transfer.amount_cents / 100)}.${String(transfer.amount_cents % 100).padStart(2, '0')}`
  const details = [
    {
      type: 'payment_initiation',
      instructedAmount: { amount, currency: transfer.currency },
      debtorAccount: { account_id: transfer.source_account_id },
      creditorAccount: { account_id: transfer.destination_account_id },
      creditorName: 'Riverside Rentals',
      remittanceInformation: transfer.description,
    },
  ]
  const parameters = { authorization_details: JSON.stringify(details), acr_values: 'urn:openbanking:psd2:sca' }
  return await signInToApp(rig, person, { parameters, ...(wishes ? { wishes } : {}) })
}

type App = { readonly thirdParty: ThirdParty; readonly tokens: { readonly access_token: string } }

export const apiGet = ({ thirdParty, tokens }: App, path: string): Promise<Answer> =>
  thirdParty.call(tokens.access_token, 'GET', `${thirdParty.sandbox.audiences.bank_api}${path}`)

export const apiPost = ({ thirdParty, tokens }: App, path: string, body: object, key: string = newKey()): Promise<Answer> =>
  thirdParty.call(tokens.access_token, 'POST', `${thirdParty.sandbox.audiences.bank_api}${path}`, {
    body,
    headers: { 'idempotency-key': key },
  })
