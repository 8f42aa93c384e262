import { z } from '@bankside/service-kit/postgres'
import type { PaymentConsent } from '../consents/consent.ts'
import { canonicalJson } from '../idempotency/canonical-json.ts'
import type { Money } from '../money.ts'
import { refuse } from '../refusal.ts'

/** What a request asks to be paid, to be compared with what the customer agreed to. */
export type Initiation =
  /** `{ Initiation, Risk }` as parsed from the request. */
  { readonly channel: 'uk_v4'; readonly initiation: unknown } | { readonly channel: 'bank_api'; readonly initiation: TransferInitiation }

export type TransferInitiation = {
  readonly debtorAccountId: string
  /** An account here, or a beneficiary. */
  readonly creditorAccountId: string
  readonly amount: Money
  /** What the customer wrote. It must be what they agreed to, if they were shown one. */
  readonly reference?: string | undefined
}

/** What identifies a payment to those who take part in it. */
export type Identifications = { readonly instruction: string; readonly endToEnd: string }

/**
 * A UK payment repeats its consent's Initiation and Risk, leaf by leaf (PIS-13). A transfer names the debtor, creditor and
 * amount that its authorization did (NAT-S4).
 *
 * @returns the third party's own identifications; a transfer has none.
 * @throws {Refusal} `consent_mismatch`.
 */
export function matchInitiation(consent: PaymentConsent, asked: Initiation): Identifications | undefined {
  const kind = asked.channel === 'uk_v4' ? 'domestic_payment' : 'transfer'
  if (consent.kind !== kind) refuse('consent_mismatch', `the consent is a ${consent.kind}`)
  return asked.channel === 'uk_v4' ? matchDomestic(consent, asked.initiation) : matchTransfer(consent, asked.initiation)
}

const domesticRequest = z.object({
  Data: z.object({ Initiation: z.looseObject({ InstructionIdentification: z.string(), EndToEndIdentification: z.string() }) }),
  Risk: z.unknown(),
})

function matchDomestic({ request }: PaymentConsent, initiation: unknown): Identifications {
  const { Data, Risk } = domesticRequest.parse(request)
  const agreed = canonicalJson({ Initiation: Data.Initiation, Risk })
  if (canonicalJson(initiation) !== agreed)
    refuse('consent_mismatch', 'Initiation or Risk differs from the consent', { path: 'Data.Initiation' })
  return { instruction: Data.Initiation.InstructionIdentification, endToEnd: Data.Initiation.EndToEndIdentification }
}

const transferRequest = z.looseObject({
  creditorAccount: z.looseObject({ account_id: z.string() }),
  remittanceInformation: z.string().optional(),
})

function matchTransfer(consent: PaymentConsent, { debtorAccountId, creditorAccountId, amount, reference }: TransferInitiation): undefined {
  const agreed = transferRequest.parse(consent.request)
  const sameAmount = amount.minor === consent.amount.minor && amount.currency === consent.amount.currency
  const samePeople = debtorAccountId === consent.debtorAccountId && creditorAccountId === agreed.creditorAccount.account_id
  const sameWords = agreed.remittanceInformation === undefined || agreed.remittanceInformation === reference
  if (!sameAmount || !samePeople || !sameWords) refuse('consent_mismatch', 'the transfer differs from what was authorised')
}
