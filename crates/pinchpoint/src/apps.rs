//! Applications under test that ship inside the command.

use pinchpoint_lab::BuiltInApp;
use pinchpoint_stack::AppFile;

macro_rules! files {
    ($app:literal: $($path:literal),+ $(,)?) => {
        BuiltInApp {
            name: $app,
            files: &[$(AppFile {
                path: $path,
                text: include_str!(concat!("../../../apps/", $app, "/", $path)),
            }),+],
        }
    };
}

/// The Python applications; those in Rust are programs of their own beside this one.
pub(crate) const APPS: &[BuiltInApp] = &[
    files!("fastapi": "app.py", "requirements.txt"),
    files!("flask": "app.py", "requirements.txt"),
    files!(
        "django": "requirements.txt", "blog/__init__.py", "blog/models.py", "blog/settings.py",
        "blog/urls.py", "blog/views.py", "blog/wsgi.py",
    ),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn count(directory: &Path) -> usize {
        let entries = fs::read_dir(directory).unwrap().flatten().filter(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            name != "__pycache__" && !name.starts_with('.')
        });
        entries.map(|e| if e.path().is_dir() { count(&e.path()) } else { 1 }).sum()
    }

    #[test]
    fn no_file_of_an_application_is_left_out() {
        for app in APPS {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps").join(app.name);
            assert_eq!(app.files.len(), count(&directory), "{}", app.name);
        }
    }
}
