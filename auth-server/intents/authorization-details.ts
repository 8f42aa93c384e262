import { parseAccountInformationDetail } from '@bankside/bank/consents/account-information-detail'
import { parsePaymentDetail } from '@bankside/bank/consents/payment-detail'
import { parseTransferDetail } from '@bankside/bank/consents/transfer-detail'
import { isConsentId } from '@bankside/bank/ids'
import { parseMoney } from '@bankside/bank/money'
import { checkPaymentLimits } from '@bankside/bank/payments/payment-limits'
import type { Clock } from '@bankside/service-kit/clock'
import { Refusal } from '@bankside/service-kit/refusal'
import { type AuthorizationDetail, type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { z } from 'zod'
import { isFirstParty } from '../storage/client-storage.ts'

const openbankingConsent = z.strictObject({ type: z.literal('openbanking_consent'), consent_id: z.string().refine(isConsentId) })

/** Several times the longest that makes sense: every permission, and every member of a payment. */
const detailsLimit = 8_192

type Check = (detail: AuthorizationDetail, asking: { readonly client: Client; readonly now: Date }) => void

/** RAR-01: every type with its schema. Unknown members are refused, not ignored. */
const types: Readonly<Record<string, Check>> = {
  openbanking_consent(detail) {
    const [issue] = openbankingConsent.safeParse(detail).error?.issues ?? []
    if (issue) throw new errors.InvalidAuthorizationDetails(`${issue.path.join('.') || 'an unknown member'} is not as it must be`)
  },
  account_information: (detail, { now }) => void parseAccountInformationDetail(detail, now),
  payment_initiation(detail, { client }) {
    if (!isFirstParty(client)) return void parsePaymentDetail(detail)
    const { instructedAmount } = parseTransferDetail(detail)
    checkPaymentLimits(parseMoney(instructedAmount.amount, instructedAmount.currency), 'instructedAmount')
  },
}

/** A token request repeats what was granted, which is more than was asked: there the grant is what it is compared with. */
export const authorizationDetailTypes = (clock: Clock) =>
  Object.fromEntries(
    Object.entries(types).map(([type, check]) => [
      type,
      {
        validate(ctx: KoaContextWithOIDC, detail: AuthorizationDetail, client: Client): void {
          if (String(ctx.oidc.params?.['authorization_details']).length > detailsLimit)
            throw new errors.InvalidAuthorizationDetails(`authorization_details must have at most ${detailsLimit} characters`)
          if (ctx.oidc.route !== 'token') refusing(type, () => check(detail, { client, now: clock.now() }))
        },
      },
    ]),
  )

function refusing(type: string, check: () => void): void {
  try {
    check()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new errors.InvalidAuthorizationDetails(`${type}: ${error.path === undefined ? '' : `${error.path}: `}${error.message}`)
  }
}
