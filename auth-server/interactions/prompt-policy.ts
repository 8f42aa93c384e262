import { interactionPolicy } from 'oidc-provider'
import { intentOf } from '../intents/intent.ts'

/** Reasons for which a signed-in customer is asked for the second factor alone; any other reason asks for everything. */
export const freshSecondFactor = 'payment_needs_second_factor'

/**
 * The library's own policy, and one rule more: a payment is authenticated for itself, whatever session there is (SCA-RTS
 * Art. 5). So a payment can never be had with `prompt=none`.
 */
export function promptPolicy(): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base()
  policy.get('login')?.checks.add(
    new interactionPolicy.Check(freshSecondFactor, 'a payment needs a second factor of its own', 'login_required', ({ oidc }) => {
      const { params = {}, result } = oidc
      const scopes = typeof params['scope'] === 'string' ? params['scope'].split(' ') : []
      const isPayment = scopes.includes('payments') || intentOf(params)?.type === 'payment_initiation'
      return isPayment && result?.login === undefined
    }),
  )
  return policy
}
