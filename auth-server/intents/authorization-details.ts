import { parseTransferDetail } from '@bankside/bank/consents/transfer-detail'
import { isConsentId } from '@bankside/bank/ids'
import { parseMoney } from '@bankside/bank/money'
import { checkPaymentLimits } from '@bankside/bank/payments/payment-limits'
import { Refusal } from '@bankside/service-kit/refusal'
import { type AuthorizationDetail, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { z } from 'zod'

const openbankingConsent = z.strictObject({ type: z.literal('openbanking_consent'), consent_id: z.string().refine(isConsentId) })

/** RAR-01: every type with its schema. Unknown members are refused, not ignored. */
const types: Readonly<Record<string, (detail: AuthorizationDetail) => void>> = {
  openbanking_consent(detail) {
    const [issue] = openbankingConsent.safeParse(detail).error?.issues ?? []
    if (issue)
      throw new errors.InvalidAuthorizationDetails(
        `openbanking_consent: ${issue.path.join('.') || 'an unknown member'} is not as it must be`,
      )
  },
  payment_initiation(detail) {
    const { instructedAmount } = parseTransferDetail(detail)
    checkPaymentLimits(parseMoney(instructedAmount.amount, instructedAmount.currency), 'instructedAmount')
  },
}

/** A token request repeats what was granted, which is more than was asked: there the grant is what it is compared with. */
export const authorizationDetailTypes = Object.fromEntries(
  Object.entries(types).map(([type, check]) => [
    type,
    {
      validate(ctx: KoaContextWithOIDC, detail: AuthorizationDetail): void {
        if (ctx.oidc.route !== 'token') refusing(() => check(detail))
      },
    },
  ]),
)

function refusing(check: () => void): void {
  try {
    check()
  } catch (error) {
    if (error instanceof Refusal) throw new errors.InvalidAuthorizationDetails(`payment_initiation: ${error.message}`)
    throw error
  }
}
