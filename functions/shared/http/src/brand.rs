//! Whose pages these are: the name, the logo and the colour of the platform that runs the service.

use portcullis_platform::{Environment, Misconfigured, Variable};

use crate::PublicUrl;
use crate::origin::Origin;

/// The name on the pages.
pub(crate) const BRAND_NAME: Variable = Variable {
    name: "BRAND_NAME",
    default: "Portcullis",
    about: "name of the platform on the pages of the web console, 1 to 40 characters",
    aliases: &[],
};
/// The picture beside the name.
pub(crate) const BRAND_LOGO: Variable = Variable {
    name: "BRAND_LOGO",
    default: "",
    about: "its logo, a square picture: a path or an address on the host of PUBLIC_URL, or a data:image/ URL",
    aliases: &[],
};
/// The colour of what is to be done next.
pub(crate) const BRAND_ACCENT: Variable = Variable {
    name: "BRAND_ACCENT",
    default: "",
    about: "its colour as #rrggbb, with a contrast of 4.5:1 to the background of the pages; a lighter shade of it is used in the dark",
    aliases: &[],
};

const LONGEST_NAME: usize = 40;
/// An environment on Lambda holds 4 KB in all; a laptop's may hold more.
const LONGEST_LOGO: usize = 64 * 1024;

/// What text needs to be read by most (WCAG 2.2, 1.4.3).
const CONTRAST: f64 = 4.5;
/// The two backgrounds of the console that stand out least from the accent, `--surface` in the light and
/// `--surface-raised` in the dark of `functions/console/web/src/styles/tokens.css`.
const LIGHT: Colour = Colour([0xf4, 0xf6, 0xf7]);
const DARK: Colour = Colour([0x17, 0x1c, 0x20]);

/// The platform, as the pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    name: String,
    logo: String,
    accent: Option<Colour>,
}

/// A colour of sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Colour([u8; 3]);

impl Default for Brand {
    fn default() -> Self {
        Self { name: BRAND_NAME.default.to_owned(), logo: String::new(), accent: None }
    }
}

impl Brand {
    /// Reads it; fails with the name of the variable that cannot be used.
    pub fn read(environment: &Environment, public_url: &PublicUrl) -> Result<Self, Misconfigured> {
        let name = environment.text(&BRAND_NAME)?.trim().to_owned();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(Misconfigured::new(BRAND_NAME.name, "must have 1 to 40 characters".to_owned()));
        }
        let logo = environment.text(&BRAND_LOGO)?;
        check_logo(&logo, public_url).map_err(|reason| Misconfigured::new(BRAND_LOGO.name, reason))?;
        let accent = environment.text(&BRAND_ACCENT)?;
        let accent = (!accent.is_empty()).then(|| accent_of(&accent)).transpose();
        let accent = accent.map_err(|reason| Misconfigured::new(BRAND_ACCENT.name, reason))?;
        Ok(Self { name, logo, accent })
    }

    /// The name of the platform.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of its logo; empty without one.
    pub fn logo(&self) -> &str {
        &self.logo
    }

    /// Whether it has a colour of its own.
    pub fn has_accent(&self) -> bool {
        self.accent.is_some()
    }

    /// Returns its colour as a stylesheet, for light and for dark pages; empty without one.
    pub fn styles(&self) -> String {
        let Some(light) = self.accent else { return String::new() };
        let dark = light.lightened_against(DARK);
        format!(
            ":root{{--accent:{};--accent-text:#ffffff}}@media(prefers-color-scheme:dark){{:root{{--accent:{};--accent-text:#000000}}}}",
            light.hex(),
            dark.hex()
        )
    }
}

/// Checks that a browser may load the logo from a page that loads nothing from other hosts.
fn check_logo(logo: &str, public_url: &PublicUrl) -> Result<(), String> {
    let is_path = logo.starts_with('/') && !logo.starts_with("//");
    let is_own = Origin::parse(logo.get(..origin_length(logo)).unwrap_or_default())
        .is_ok_and(|origin| origin == *public_url.origin());
    let is_safe =
        logo.len() <= LONGEST_LOGO && !logo.chars().any(|letter| letter.is_control() || letter == '\\');
    if logo.is_empty() || (is_safe && (is_path || is_own || logo.starts_with("data:image/"))) {
        return Ok(());
    }
    Err("must be a path or an address on the host of PUBLIC_URL, or a data:image/ URL of 64 KiB at most"
        .to_owned())
}

/// Returns the length of scheme and host at the start of a URL.
fn origin_length(url: &str) -> usize {
    let host = url.find("://").map_or(url.len(), |at| at + 3);
    url.get(host..).and_then(|rest| rest.find('/')).map_or(url.len(), |path| host + path)
}

fn accent_of(text: &str) -> Result<Colour, String> {
    let colour = Colour::parse(text).ok_or_else(|| "must be a colour as #rrggbb".to_owned())?;
    let contrast = colour.contrast(LIGHT);
    if contrast < CONTRAST {
        // Cut off, not rounded: 4.46:1 is not enough, and must not read as if it were.
        let shown = (contrast * 10.0).floor() / 10.0;
        return Err(format!(
            "has a contrast of {shown:.1}:1 to the background of the pages; 4.5:1 is needed for its text to be read, so choose a darker shade"
        ));
    }
    Ok(colour)
}

impl Colour {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then_some(Self([part(0)?, part(2)?, part(4)?]))
    }

    fn hex(self) -> String {
        let Self([red, green, blue]) = self;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        let [red, green, blue] = linear;
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// Contrast ratio (WCAG 2.2), 1 to 21.
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance() + 0.05, other.luminance() + 0.05);
        one.max(two) / one.min(two)
    }

    /// Returns this colour, mixed with as much white as it takes to be read on the background.
    fn lightened_against(self, background: Self) -> Self {
        let mixed = (0..=100).map(|percent| Self(self.0.map(|part| mixed_with_white(part, percent))));
        mixed.into_iter().find(|colour| colour.contrast(background) >= CONTRAST).unwrap_or(Self([0xff; 3]))
    }
}

fn mixed_with_white(part: u8, percent: u16) -> u8 {
    let part = u16::from(part);
    u8::try_from(part + (255 - part) * percent / 100).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Brand, String> {
        let public_url = PublicUrl::parse("https://auth.example.com").unwrap();
        Brand::read(&pairs.iter().copied().collect(), &public_url).map_err(|error| error.to_string())
    }

    #[test]
    fn with_nothing_set_the_pages_are_this_products() {
        assert_eq!(read(&[]).unwrap(), Brand::default());
        assert_eq!(Brand::default().styles(), "");
    }

    #[test]
    fn an_accent_that_cannot_be_read_is_refused_with_the_contrast_it_has() {
        for (colour, contrast) in [("#ffd400", "1.3:1"), ("#777777", "4.1:1"), ("#FFFFFF", "1.0:1")] {
            let error = read(&[("BRAND_ACCENT", colour)]).unwrap_err();
            assert!(error.starts_with(&format!("BRAND_ACCENT: has a contrast of {contrast}")), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
        for bad in ["red", "#12345", "#1234567", "#12345g", "#+1+2+3", "123456", "#0a5a75;}"] {
            assert!(read(&[("BRAND_ACCENT", bad)]).unwrap_err().contains("as #rrggbb"), "{bad}");
        }
    }

    #[test]
    fn an_accent_is_readable_in_the_light_and_in_the_dark() {
        for colour in ["#0a5a75", "#000000", "#7a1f5c", "#0000ff", "#6b6b6b"] {
            let brand = read(&[("BRAND_ACCENT", colour)]).unwrap();
            let light = brand.accent.unwrap();
            let dark = light.lightened_against(DARK);
            for (one, two) in [
                (light, LIGHT),
                (light, Colour([0xff; 3])),
                (dark, DARK),
                (dark, Colour([0x0f, 0x13, 0x16])),
                (dark, Colour([0; 3])),
            ] {
                assert!(one.contrast(two) >= CONTRAST, "{} on {}", one.hex(), two.hex());
            }
            assert!(brand.styles().contains(colour), "{}", brand.styles());
        }
    }

    #[test]
    fn contrast_is_as_the_guidelines_compute_it() {
        let [black, white, grey] = ["#000000", "#ffffff", "#767676"].map(|text| Colour::parse(text).unwrap());
        assert!((black.contrast(white) - 21.0).abs() < 0.001);
        assert!((grey.contrast(white) - 4.54).abs() < 0.005);
    }

    #[test]
    fn the_backgrounds_are_those_of_the_console() {
        let tokens = include_str!("../../../console/web/src/styles/tokens.css");
        let (light, dark) = tokens.split_once("prefers-color-scheme: dark").unwrap();
        assert!(light.contains(&format!("--surface: {};", LIGHT.hex())));
        assert!(dark.contains(&format!("--surface-raised: {};", DARK.hex())));
    }

    #[test]
    fn a_logo_is_of_this_host_or_in_the_page_itself() {
        for good in ["", "/logo.svg", "https://auth.example.com/a.svg", "data:image/svg+xml,%3Csvg/%3E"] {
            assert_eq!(read(&[("BRAND_LOGO", good)]).unwrap().logo(), good);
        }
        for bad in [
            "//evil.example/a.svg",
            "https://evil.example/a.svg",
            "https://auth.example.com.evil.example/a.svg",
            "https://auth.example.com@evil.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/\\evil.example/a.svg",
            "logo.svg",
        ] {
            assert!(read(&[("BRAND_LOGO", bad)]).unwrap_err().starts_with("BRAND_LOGO: "), "{bad}");
        }
    }

    #[test]
    fn a_name_is_short_and_printable() {
        assert_eq!(read(&[("BRAND_NAME", " Rao Capital ")]).unwrap().name(), "Rao Capital");
        for bad in [" ", "a\nb", &"x".repeat(41)] {
            assert!(read(&[("BRAND_NAME", bad)]).unwrap_err().starts_with("BRAND_NAME: "), "{bad:?}");
        }
    }
}
