const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/
const withOptionalZone = /^(\d{4}-\d{2}-\d{2})(?:T((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?$/

/** Reads a date-time of a body, or of a query of the bank's own API: RFC 3339, so with an offset (RW-D-02). A day that no calendar has is none: `Date` would roll it over. */
export function parseDateTime(text: string): Date | undefined {
  const [, year, month, day] = rfc3339.exec(text) ?? []
  return year !== undefined && month !== undefined && day !== undefined && isDay(year, month, day)
    ? new Date(text.toUpperCase())
    : undefined
}

/**
 * Reads a date filter of a query. It carries no zone, and one that is sent is ignored (RW-D-03): the bank books in UTC.
 * A bare date is the beginning of that day.
 */
export function parseDateFilter(text: string): Date | undefined {
  // A plus sign that was not percent-encoded arrives as a space.
  const [, date, time = '00:00:00', fraction = ''] = withOptionalZone.exec(text.replace(' ', '+')) ?? []
  const [year, month, day] = date?.split('-') ?? []
  return year !== undefined && month !== undefined && day !== undefined && isDay(year, month, day)
    ? new Date(`${date}T${time}${fraction}Z`)
    : undefined
}

export const dateProblem = { code: 'date_invalid', message: 'not an ISO 8601 date-time' } as const

function isDay(year: string, month: string, day: string): boolean {
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`)
  return Number(year) >= 1900 && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(`${year}-${month}-${day}`)
}
