//! The template engine: every template is checked when the program starts, and values are escaped everywhere. Filters turn figures into
//! what people read; what a figure means is decided before it gets here.

use crate::http::assets;
use crate::words;
use rust_embed::RustEmbed;
use serde::Serialize;
use tera::{Context, Kwargs, State, Tera, TeraResult};

#[derive(RustEmbed)]
#[folder = "../templates/"]
struct Templates;

/// What a template shows. The law: each page and fragment template has exactly one such type.
pub trait Page: Serialize {
    /// The template's name.
    const TEMPLATE: &'static str;
    /// The navigation entry that it belongs to.
    const NAV: &'static str = "";
}

/// The template engine with everything that templates use.
pub struct Pages {
    tera: Tera,
}

impl Pages {
    /// Reads and checks all templates.
    ///
    /// # Errors
    /// When one of them is broken; the message says where.
    pub fn new() -> Result<Self, tera::Error> {
        let mut tera = Tera::new();
        tera.register_function("asset", asset);
        tera.register_filter("bytes", |n: f64, _: Kwargs, _: &State| words::bytes(n));
        tera.register_filter("count", |n: i64, _: Kwargs, _: &State| words::count(n));
        tera.register_filter("left", |n: u64, _: Kwargs, _: &State| words::job::left(n));
        tera.register_filter("span", |n: f64, _: Kwargs, _: &State| words::span(n));
        tera.register_filter("label", |name: &str, _: Kwargs, _: &State| words::field::label(name).replace('_', " "));
        tera.register_filter("urlencode", tera_contrib::urlencode::urlencode);
        let texts: Vec<(String, String)> = Templates::iter()
            .filter(|name| name.ends_with(".html"))
            .filter_map(|name| {
                let file = Templates::get(&name)?;
                Some((name.to_string(), String::from_utf8_lossy(&file.data).into_owned()))
            })
            .collect();
        tera.add_raw_templates(texts)?;
        Ok(Self { tera })
    }

    /// Renders a page or fragment inside its shell.
    ///
    /// # Errors
    /// When the template asks for something that the page does not have; a bug.
    pub fn render<P: Page>(&self, shell: &super::view::Shell, page: &P) -> TeraResult<String> {
        let mut context = Context::from_serialize(page)?;
        context.insert("shell", shell);
        context.insert("nav", P::NAV);
        self.tera.render(P::TEMPLATE, &context)
    }

    /// The names of all templates.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tera.get_template_names()
    }
}

fn asset(args: Kwargs, _: &State) -> TeraResult<String> {
    let name = args.must_get::<&str>("path")?;
    assets::url(name).ok_or_else(|| tera::Error::message(format!("there is no static file {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_templates_are_whole() {
        if let Err(error) = Pages::new() {
            panic!("{error}");
        }
    }
}
