import { randomUUID } from 'node:crypto'
import type { DemoAccount } from '../sandbox/description.ts'
import type { Answer } from './answer.ts'
import type { ThirdParty } from './third-party.ts'

/** What the accounts journeys ask for: everything that the endpoints of this issue can show. */
export const readEverything = [
  'ReadAccountsDetail',
  'ReadBalances',
  'ReadTransactionsDetail',
  'ReadTransactionsCredits',
  'ReadTransactionsDebits',
] as const

export const aisp = ({ sandbox }: Pick<ThirdParty, 'sandbox'>, path: string) => `${sandbox.audiences.uk_open_banking}/v4.0/aisp${path}`
export const pisp = ({ sandbox }: Pick<ThirdParty, 'sandbox'>, path: string) => `${sandbox.audiences.uk_open_banking}/v4.0/pisp${path}`

export type AccessWish = { permissions?: readonly string[]; expiresAt?: string; transactionFrom?: string; transactionTo?: string }

/** Lodges an account access consent with a token of the client's own. */
export async function lodgeAccountAccess(thirdParty: ThirdParty, wish: AccessWish = {}): Promise<Answer> {
  const { access_token } = await thirdParty.clientCredentials('accounts')
  const body = {
    Data: {
      Permissions: wish.permissions ?? readEverything,
      ...(wish.expiresAt ? { ExpirationDateTime: wish.expiresAt } : {}),
      ...(wish.transactionFrom ? { TransactionFromDateTime: wish.transactionFrom } : {}),
      ...(wish.transactionTo ? { TransactionToDateTime: wish.transactionTo } : {}),
    },
    Risk: {},
  }
  return await thirdParty.call(access_token, 'POST', aisp(thirdParty, '/account-access-consents'), { body })
}

export async function getAccountAccess(thirdParty: ThirdParty, consentId: string): Promise<Answer> {
  const { access_token } = await thirdParty.clientCredentials('accounts')
  return await thirdParty.call(access_token, 'GET', aisp(thirdParty, `/account-access-consents/${consentId}`))
}

export type PaymentOrder = {
  readonly amount: string
  readonly currency: string
  readonly creditor: { readonly name: string; readonly account: DemoAccount }
  readonly debtor?: DemoAccount
  readonly remittance: string
}

export type PaymentBody = { Data: { Initiation: Record<string, unknown> }; Risk: Record<string, unknown> }

export function paymentBody({ amount, currency, creditor, debtor, remittance }: PaymentOrder): PaymentBody {
  const reference = randomUUID().replaceAll('-', '').slice(0, 20)
  return {
    Data: {
      Initiation: {
        InstructionIdentification: `instr-${reference}`,
        EndToEndIdentification: `e2e-${reference}`,
        InstructedAmount: { Amount: amount, Currency: currency },
        ...(debtor ? { DebtorAccount: { ...sortCodeAndNumber(debtor), Name: 'Account holder' } } : {}),
        CreditorAccount: { ...sortCodeAndNumber(creditor.account), Name: creditor.name },
        RemittanceInformation: { Unstructured: [remittance] },
      },
    },
    Risk: { PaymentContextCode: 'TransferToThirdParty' },
  }
}

export async function lodgePayment(thirdParty: ThirdParty, body: PaymentBody, key: string = newKey()): Promise<Answer> {
  const { access_token } = await thirdParty.clientCredentials('payments')
  return await thirdParty.call(access_token, 'POST', pisp(thirdParty, '/domestic-payment-consents'), {
    body,
    headers: { 'x-idempotency-key': key },
  })
}

export async function getPaymentConsent(thirdParty: ThirdParty, consentId: string): Promise<Answer> {
  const { access_token } = await thirdParty.clientCredentials('payments')
  return await thirdParty.call(access_token, 'GET', pisp(thirdParty, `/domestic-payment-consents/${consentId}`))
}

export async function submitPayment(
  thirdParty: ThirdParty,
  accessToken: string,
  consentId: string,
  body: PaymentBody,
  key: string = newKey(),
): Promise<Answer> {
  const payment = { Data: { ConsentId: consentId, Initiation: body.Data.Initiation }, Risk: body.Risk }
  return await thirdParty.call(accessToken, 'POST', pisp(thirdParty, '/domestic-payments'), {
    body: payment,
    headers: { 'x-idempotency-key': key },
  })
}

export async function getPayment(thirdParty: ThirdParty, paymentId: string): Promise<Answer> {
  const { access_token } = await thirdParty.clientCredentials('payments')
  return await thirdParty.call(access_token, 'GET', pisp(thirdParty, `/domestic-payments/${paymentId}`))
}

export const newKey = () => randomUUID()

function sortCodeAndNumber({ sort_code, account_number }: DemoAccount): { SchemeName: string; Identification: string } {
  return { SchemeName: 'UK.OBIE.SortCodeAccountNumber', Identification: `${sort_code ?? ''}${account_number ?? ''}` }
}
