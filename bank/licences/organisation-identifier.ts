/** How a certificate names its holder in the register of a competent authority (ETSI TS 119 495 section 5.2.1). */
export type OrganisationIdentifier = {
  readonly text: string
  /** `GB-FCA`: country and authority, as a licence statement names it too. */
  readonly authorityId: string
  readonly number: string
}

const pattern = /^PSD([A-Z]{2})-([A-Z]{2,8})-(.{1,64})$/

/** `PSDGB-FCA-123456`; undefined for any other form. */
export function parseOrganisationIdentifier(text: string): OrganisationIdentifier | undefined {
  const [, country, authority, number] = pattern.exec(text) ?? []
  return number === undefined ? undefined : { text, authorityId: `${country}-${authority}`, number }
}
