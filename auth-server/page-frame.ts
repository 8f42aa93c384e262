import { icon, stylesheet } from '@bankside/consent-ui/assets'
import type { Common } from '@bankside/consent-ui/page'

/** What every page is told. */
export const commonOf = (thirdPartyName?: string, signedInAs?: string): Common => ({
  bankName: 'Bankside',
  cssHref: stylesheet.href,
  iconHref: icon.href,
  locale: 'en-GB',
  ...(thirdPartyName !== undefined && { thirdParty: { name: thirdPartyName } }),
  ...(signedInAs !== undefined && { signedInAs }),
})
