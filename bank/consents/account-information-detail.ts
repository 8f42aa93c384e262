import { type Transaction, z } from '@bankside/service-kit/postgres'
import { refuse } from '../refusal.ts'
import type { AccountAccessConsent } from './consent.ts'
import { type AccountAccessTerms, assertDates, lodgeAccountAccessConsent } from './lodge-account-access-consent.ts'
import { permissionsLimit, validatePermissions } from './permission.ts'

const dateTime = z.iso.datetime({ offset: true }).optional()

/** What a third party asks to see: the RAR detail of type `account_information`. Unknown members are refused (RAR-01). */
const accountInformationDetail = z.strictObject({
  type: z.literal('account_information'),
  permissions: z.array(z.string()).min(1).max(permissionsLimit),
  expirationDateTime: dateTime,
  transactionFromDateTime: dateTime,
  transactionToDateTime: dateTime,
})
export type AccountInformationDetail = z.infer<typeof accountInformationDetail>

/** @throws {Refusal} `field_invalid`, `permissions_invalid`, `date_invalid`, with the path of the first member at fault. */
export function parseAccountInformationDetail(detail: unknown, now: Date): AccountInformationDetail {
  const parsed = accountInformationDetail.safeParse(detail)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return refuse('field_invalid', issue?.message ?? 'not an account information', { path: issue?.path.join('.') })
  }
  validatePermissions(parsed.data.permissions, 'permissions')
  assertDates(termsOf(parsed.data), now)
  return parsed.data
}

/** What is asked for, in the terms of a consent. */
export function termsOf(detail: AccountInformationDetail): AccountAccessTerms {
  return {
    permissions: detail.permissions,
    expiresAt: dateOf(detail.expirationDateTime),
    transactionFrom: dateOf(detail.transactionFromDateTime),
    transactionTo: dateOf(detail.transactionToDateTime),
  }
}

const dateOf = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text))

export type AccountInformationOrder = {
  readonly clientId: string
  readonly detail: unknown
  readonly interactionId?: string | undefined
  readonly now: Date
}

/**
 * Keeps what was asked for by detail as the row that the UK API would have made of the same words, so that whatever reads,
 * shows or ends a consent need not know by which door it came.
 *
 * @throws {Refusal} as {@link parseAccountInformationDetail}.
 */
export function lodgeAccountInformation(tx: Transaction, { detail, ...order }: AccountInformationOrder): Promise<AccountAccessConsent> {
  const asked = parseAccountInformationDetail(detail, order.now)
  return lodgeAccountAccessConsent(tx, { ...order, ...termsOf(asked), request: ukRequestOf(asked) })
}

/** The body that would have lodged it over the UK API, which serves the consent from it. */
export function ukRequestOf(detail: Omit<AccountInformationDetail, 'type'>): object {
  const dates = {
    ExpirationDateTime: detail.expirationDateTime,
    TransactionFromDateTime: detail.transactionFromDateTime,
    TransactionToDateTime: detail.transactionToDateTime,
  }
  return { Data: { Permissions: detail.permissions, ...dates }, Risk: {} }
}
